import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { SettingError, serve } from '@koa-session/example-support'
import test, { type ExecutionContext } from 'ava'
import { createApp } from '../dist/app.js'

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))

/** The demo as `npm start` runs it, and the first line it prints. */
async function start(t: ExecutionContext, environment: Record<string, string>) {
  const { PORT: _, STORE: __, ...inherited } = process.env
  const demo: ChildProcess = spawn(process.execPath, [...process.execArgv, main], {
    env: { ...inherited, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.teardown(() => demo.kill('SIGKILL'))
  let complaints = ''
  demo.stderr?.on('data', chunk => {
    complaints += chunk
  })
  const ended = once(demo, 'close').then(([code, signal]) => ({ code, signal, complaints }))
  const lines = createInterface({ input: demo.stdout as NodeJS.ReadableStream })
  const [line] = (await Promise.race([once(lines, 'line'), ended.then(() => [''])])) as [string]
  return { demo, ended, line }
}

test('the first line shows the URL, and another port is used if 3000 is taken', async t => {
  const taken = createServer()
  // An error means that another program has the port, which is as good.
  await new Promise<void>(resolve => taken.once('error', () => resolve()).listen(3000, '127.0.0.1', resolve))
  t.teardown(() => taken.close())
  const { line } = await start(t, {})
  const [, address, port] = /^Look at (http:\/\/127\.0\.0\.1:(\d+)\/)$/.exec(line) ?? []
  t.not(port, '3000')
  t.is((await fetch(String(address))).status, 200)
})

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`${signal} ends the process with code 0 after the responses under way`, async t => {
    const { demo, ended, line } = await start(t, { PORT: '0' })
    const address = line.replace('Look at ', '')
    // A form whose second half comes only after the signal.
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
    const writer = writable.getWriter()
    const answer = fetch(`${address}sign-in`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      body: readable,
      duplex: 'half',
      redirect: 'manual',
    } as RequestInit)
    await writer.write(Buffer.from('user='))
    await (await fetch(address)).text()
    demo.kill(signal)
    await writer.write(Buffer.from('Ada'))
    await writer.close()
    t.is((await answer).status, 303)
    t.deepEqual(await ended, { code: 0, signal: null, complaints: '' })
  })
}

test('a PORT that is taken is an error that says so, not another port', async t => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => taken.close())
  const { port } = taken.address() as { port: number }
  const { ended, line } = await start(t, { PORT: String(port) })
  t.is(line, '')
  const { code, complaints } = await ended
  t.is(code, 1)
  t.is(complaints, `PORT=${port} is taken by another program: choose another, or leave PORT out\n`)
})

test('a PORT that is no port is an error that says what a port is', async t => {
  const saying = (port: string) => `PORT must be a number from 0 to 65535, got "${port}"`
  const { ended, line } = await start(t, { PORT: 'http' })
  t.is(line, '')
  t.deepEqual(await ended, { code: 1, signal: null, complaints: `${saying('http')}\n` })
  const { app, sessions } = createApp()
  t.teardown(() => sessions.close())
  const { PORT: before } = process.env
  for (const PORT of ['70000', '-1', '3e3']) {
    process.env.PORT = PORT
    const serving = serve(app, sessions)
    if (before === undefined) delete process.env.PORT
    else process.env.PORT = before
    await t.throwsAsync(serving, { instanceOf: SettingError, message: saying(PORT) })
  }
})

test('an unknown STORE is an error that lists the known stores', async t => {
  const { ended, line } = await start(t, { PORT: '0', STORE: 'dbase' })
  t.is(line, '')
  const { code, complaints } = await ended
  t.is(code, 1)
  t.regex(complaints, /^STORE must be one of memory, file.*\n$/)
})
