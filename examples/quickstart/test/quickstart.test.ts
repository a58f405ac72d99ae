import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, symlink } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { freePort } from '@koa-session/test-servers'
import test, { type ExecutionContext } from 'ava'

const root = resolve(import.meta.dirname, '../../..')
// The folder has to work elsewhere: in a copy nothing of this repository is near but the installed packages.
const folder = await mkdtemp(join(tmpdir(), 'koa-session-quickstart-'))
for (const name of ['javascript', 'typescript', 'package.json', 'tsconfig.json']) {
  await cp(join(root, 'examples/quickstart', name), join(folder, name), { recursive: true })
}
await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
test.after.always(() => rm(folder, { recursive: true, force: true }))

/** Starts the app. The functions send requests of one browser. */
async function start(t: ExecutionContext, args: readonly string[]) {
  const env = { ...process.env, PORT: String(await freePort()) }
  const child = spawn(process.execPath, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exit
  })
  const [url] = (await once(createInterface(child.stdout), 'line')) as [string]
  const browser = () => {
    let cookie = ''
    return async (method: string, path: string) => {
      const response = await fetch(new URL(path, url), { method, headers: { ...(cookie && { cookie }) } })
      cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? cookie
      return response
    }
  }
  return { child, exit, browser }
}

const variants = {
  JavaScript: ['javascript/app.js'],
  TypeScript: ['--import=tsx', 'typescript/app.ts'],
}

for (const [name, args] of Object.entries(variants)) {
  test.serial(`${name}: every route does what its comment says`, async t => {
    const { child, exit, browser } = await start(t, args)
    const [ada, bob] = [browser(), browser()]
    const json = async (response: Promise<Response>) => (await response).json()
    const page = await ada('GET', '/')
    t.regex(await page.text(), /POST \/set/)
    t.deepEqual(page.headers.getSetCookie(), [], 'a visitor who writes nothing gets no session')

    t.is(await (await ada('POST', '/set?user_id=42')).text(), 'user_id is 42\n')
    t.deepEqual(await json(ada('GET', '/get')), { user_id: '42' })
    t.deepEqual(await json(bob('GET', '/get')), { user_id: null })

    await Promise.all(Array.from({ length: 10 }, () => ada('POST', '/count')))
    t.deepEqual(await json(ada('POST', '/count')), { count: 11 })

    await ada('POST', '/set-simple')
    await ada('POST', '/clear')
    t.deepEqual(await json(ada('GET', '/get')), { user_id: null })
    const simple = ['A plain string', { type: 'success', message: 'A message with a type' }]
    t.deepEqual(await json(ada('GET', '/messages')), simple)

    await ada('POST', '/set-complex')
    const answers = await Promise.all(Array.from({ length: 10 }, () => json(ada('GET', '/messages'))))
    const taken = (answers as object[][]).filter(messages => messages.length > 0)
    t.is(taken.length, 1, 'one of the parallel requests gets the messages')
    const [object, order] = taken[0] as [object, { type: string; message: { id: number; at: string } }]
    t.deepEqual(object, { title: 'An object', tags: ['with', 'an', 'array'] })
    t.like(order, { type: 'order', message: { id: 7 } })
    t.is(new Date(order.message.at).toISOString(), order.message.at)

    await ada('POST', '/set?user_id=42')
    t.regex((await ada('POST', '/end')).headers.getSetCookie().join(), /Max-Age=0/)

    child.kill('SIGTERM')
    t.deepEqual(await exit, [0, null], 'the process ends by itself')
  })
}

test('a port that is taken ends the app with one line that says so', async t => {
  const taken = createServer().listen(0)
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as AddressInfo
  const env = { ...process.env, PORT: String(port) }
  // The other variant is the same but for types.
  const child = spawn(process.execPath, variants.JavaScript, { cwd: folder, env, stdio: ['ignore', 'ignore', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  const [complaints, [code]] = await Promise.all([text(child.stderr), once(child, 'close')])
  t.deepEqual([code, complaints], [1, `Port ${port} is taken: choose another by PORT\n`])
})

test('the TypeScript variant compiles with its own settings', t => {
  t.notThrows(() => execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc')], { cwd: folder }))
})

test('both variants are the same but for types', async t => {
  const [js, ts] = await Promise.all([
    readFile(join(folder, 'javascript/app.js'), 'utf8'),
    readFile(join(folder, 'typescript/app.ts'), 'utf8'),
  ])
  const untyped = ts.replace(/declare module [^]*?\n}\n\n/, '').replace(/\((\w+): [\w.]+\) =>/g, '$1 =>')
  t.is(js, untyped)
})
