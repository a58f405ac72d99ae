import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import test from 'ava'
import { createStorePackage } from 'create-koa-session-store'

const program = fileURLToPath(new URL('../dist/main.js', import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'koa-session-create-'))
test.after.always(() => rm(folder, { recursive: true, force: true }))

async function run(...args: string[]): Promise<{ code: number | null; output: string; errors: string }> {
  const child = spawn(process.execPath, [program, ...args], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code, output, errors }
}

test('writes the package, and says what is left to do', async t => {
  const { code, output, errors } = await run('my-store')
  t.is(code, 0)
  t.is(errors, '')
  t.regex(
    output,
    /^myStore\(\) is in my-store\. .*\n\n {2}cd my-store\n {2}npm install\n {2}npm test .*\n {2}grep -rn TODO \. --exclude-dir=node_modules /m,
  )
  t.is(JSON.parse(await readFile(join(folder, 'my-store/package.json'), 'utf8')).name, 'koa-session-store-my-store')
})

test('takes the name of the package for the folder, and another name by --name', async t => {
  t.is((await run('koa-session-store-some-db')).code, 0)
  t.is((await run('here/it/is', '--name', '@me/some-db')).code, 0)
  const nameIn = async (place: string) => JSON.parse(await readFile(join(folder, place, 'package.json'), 'utf8')).name
  t.is(await nameIn('koa-session-store-some-db'), 'koa-session-store-some-db')
  t.is(await nameIn('here/it/is'), '@me/some-db')
})

test('--help shows how', async t => {
  for (const flag of ['--help', '-h']) {
    const { code, output } = await run(flag)
    t.is(code, 0)
    t.regex(output, /npm create koa-session-store my-db/)
  }
})

for (const name of ['My-Db', '3d', 'my db', 'my_db', '-x', 'my--db', 'x-', 'ü', 'koa-session-store-']) {
  test(`the name ${name} is refused, and nothing is written`, async t => {
    await t.throwsAsync(createStorePackage({ folder: join(folder, name) }), {
      instanceOf: TypeError,
      message: /^the name of a store must be lower-case words with hyphens .*, got "/,
    })
    t.false((await readdir(folder)).includes(name))
  })
}

test('the program says why a name is refused, and ends with code 1', async t => {
  const { code, errors } = await run('--', '-y')
  t.is(code, 1)
  t.regex(errors, /^create-koa-session-store: the name of a store must be lower-case words with hyphens .*, got "/)
  t.false((await readdir(folder)).includes('-y'))
})

test('a wrong name of the package is refused', async t => {
  for (const name of ['@/x', '@me/', 'Me', `a${'b'.repeat(300)}`]) {
    await t.throwsAsync(createStorePackage({ folder: join(folder, 'wrong'), name }), {
      message: /^the name of a (store|package) must /,
    })
  }
  t.regex((await run('wrong', '--name', '@me/')).errors, /^create-koa-session-store: the name of a store must /)
})

test('a folder that is not empty is refused and stays as it is, an empty repository is taken', async t => {
  await mkdir(join(folder, 'full'))
  await writeFile(join(folder, 'full/mine'), '')
  const { code, errors } = await run('full')
  t.is(code, 1)
  t.regex(errors, /^create-koa-session-store: the folder .*full is not empty: choose another name\n$/)
  t.deepEqual(await readdir(join(folder, 'full')), ['mine'])
  await writeFile(join(folder, 'file'), '')
  t.regex((await run('file')).errors, /file is a file: choose another name\n$/)
  await mkdir(join(folder, 'cloned/.git'), { recursive: true })
  t.is((await run('cloned')).code, 0)
})

test('no name without a terminal, two names, and an unknown option are refused', async t => {
  t.regex((await run()).errors, /^create-koa-session-store: the name of the store is missing: npm create /)
  t.regex((await run('one', 'two')).errors, /one folder is expected, got 2/)
  t.regex((await run('one', '--nmae=x')).errors, /^create-koa-session-store: Unknown option '--nmae'/)
})
