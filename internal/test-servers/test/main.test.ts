import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { urlVariables } from '@koa-session/test-servers'
import test, { type ExecutionContext } from 'ava'
import { withLock } from '../dist/cache.js'
import { isAlive, processTree } from '../dist/processes.js'
import { findProgram } from '../dist/run.js'

const script = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const main = script('../dist/main.js')

/** Prints one line when it runs, and then waits to be ended. */
const waiting = [process.execPath, '-e', `console.log('running'); setInterval(() => {}, 1000)`]

interface World {
  /** For the temporary files and the data of what is started. */
  readonly folder: string
  node(script: string, args: readonly string[], more?: NodeJS.ProcessEnv): ChildProcessWithoutNullStreams
  /** The folders of servers that are there. */
  left(): Promise<string[]>
}

async function world(t: ExecutionContext): Promise<World> {
  t.timeout(10 * 60_000)
  const folder = await mkdtemp(join(tmpdir(), 'koa-session-main-'))
  // PostgreSQL does not run as root: its user has to get in.
  await chmod(folder, 0o755)
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const clean = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/_URL$|^TEST_SERVERS|^CI$|^CHROMIUM/.test(name)),
  )
  return {
    folder,
    node(script, args, more = {}) {
      const env = { ...clean, TMPDIR: folder, TEST_SERVERS_FOLDER: folder, ...more }
      const child = spawn(process.execPath, [script, ...args], { env })
      t.teardown(() => child.kill('SIGKILL'))
      return child
    },
    left: async () => (await readdir(folder)).filter(name => /^koa-session-(?!test-servers)/.test(name)),
  }
}

async function outcome(child: ChildProcessWithoutNullStreams) {
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', chunk => {
    stdout += chunk
  })
  child.stderr.on('data', chunk => {
    stderr += chunk
  })
  const [code, signal] = await once(child, 'close')
  return { code, signal, stdout, stderr }
}

const nameOf = (pid: number) =>
  readFile(`/proc/${pid}/comm`, 'utf8').then(
    text => text.trim(),
    () => '',
  )

async function firstLine(child: ChildProcessWithoutNullStreams): Promise<string> {
  let text = ''
  while (!text.includes('\n')) text += (await once(child.stdout, 'data'))[0]
  return text.slice(0, text.indexOf('\n'))
}

async function nothingIsLeft(t: ExecutionContext, pids: readonly number[], { left }: World): Promise<void> {
  const deadline = Date.now() + 60_000
  while ((pids.some(isAlive) || (await left()).length > 0) && Date.now() < deadline) await sleep(20)
  t.deepEqual(pids.filter(isAlive), [])
  t.deepEqual(await left(), [])
}

/** A whole test run gets all four from here. Two that are given leave two to start, which shows the same sooner. */
const given = { MYSQL_URL: 'mysql://127.0.0.1:1/given', MONGODB_URL: 'mongodb://127.0.0.1:1/given' }

test('a command gets the URLs of all four servers, those in the environment unchanged, its output and exit code are passed on, and nothing is left', async t => {
  const here = await world(t)
  const names = Object.values(urlVariables)
  const script = `console.log(JSON.stringify(${JSON.stringify(names)}.map(name => process.env[name])), process.argv[1])
    process.stdin.on('data', text => console.log(String(text))).on('end', () => {
      console.error('to stderr')
      process.exit(7)
    })`
  const child = here.node(main, ['--', process.execPath, '-e', script, 'an argument'], given)
  const line = await firstLine(child)
  t.regex(line, /^\["redis:.+","postgres:.+","mysql:.+","mongodb:.+"\] an argument$/)
  for (const url of Object.values(given)) t.true(line.includes(`"${url}"`))
  const pids = processTree(child.pid as number)
  t.true(pids.length > 4, 'the two servers are among them')
  t.is((await here.left()).length, 2, 'and no other')
  child.stdin.end('from stdin')
  const { code, stdout, stderr } = await outcome(child)
  t.is(code, 7)
  t.is(stdout, 'from stdin\n')
  t.regex(stderr, /to stderr/)
  for (const kind of ['redis', 'postgres']) t.regex(stderr, new RegExp(`test servers: ${kind}: .+ on port \\d+`))
  t.regex(stderr, /mysql: as MYSQL_URL says/)
  t.regex(stderr, /mongo: as MONGODB_URL says/)
  await nothingIsLeft(t, pids, here)
})

for (const [signal, kinds, expected] of [
  ['SIGINT', 'redis', 130],
  ['SIGTERM', 'redis', 143],
  ['SIGKILL', 'redis,postgres', null],
] as const) {
  test(`${signal} ends the command and every server and leaves no folder`, async t => {
    const here = await world(t)
    const child = here.node(main, [`--only=${kinds}`, '--', ...waiting])
    t.is(await firstLine(child), 'running')
    const pids = processTree(child.pid as number)
    t.is((await here.left()).length, kinds.split(',').length)
    child.kill(signal)
    t.is((await outcome(child)).code, expected)
    await nothingIsLeft(t, pids, here)
  })
}

test('an interruption ends the programs that only prepare a server', async t => {
  const here = await world(t)
  const bin = join(here.folder, 'bin')
  await mkdir(bin)
  await writeFile(join(bin, 'redis-server'), '#!/bin/sh\nexec sleep 1000\n', { mode: 0o755 })
  const child = here.node(main, ['--only=redis', '--', ...waiting], { PATH: `${bin}:${process.env.PATH}` })
  const children = () => processTree(child.pid as number)
  while (!(await Promise.all(children().map(nameOf))).includes('sleep')) await sleep(20)
  const pids = children()
  child.kill('SIGINT')
  t.is((await outcome(child)).code, 130)
  await nothingIsLeft(t, pids, here)
})

test('an interruption while a template is made leaves nothing, and processes that start together later make it once', async t => {
  const here = await world(t)
  const cache = { XDG_CACHE_HOME: here.folder }
  const template = script('./fixtures/template.js')
  const child = here.node(template, ['killed', '1000'], cache)
  while (!(await Promise.all(processTree(child.pid as number).map(nameOf))).includes('sleep')) await sleep(5)
  const pids = processTree(child.pid as number)
  t.is((await here.left()).length, 1)
  child.kill('SIGKILL')
  await outcome(child)
  // All but the cache, which is named like the package.
  await nothingIsLeft(t, pids, here)
  const children = ['one', 'two'].map(name => here.node(template, [name, '0.2'], cache))
  const [one, two] = await Promise.all(children.map(outcome))
  t.regex(String(one?.stdout), /^made-by-\d+\n$/)
  t.is(one?.stdout, two?.stdout)
  const made = await readdir(join(here.folder, 'koa-session-test-servers'))
  t.is(made.length, 1, made.join())
})

test('an interruption while the servers start leaves nothing', async t => {
  const here = await world(t)
  const child = here.node(main, ['--only=redis,postgres', '--', ...waiting])
  while ((await here.left()).length === 0) await sleep(5)
  const pids = processTree(child.pid as number)
  child.kill('SIGINT')
  const { code, stdout } = await outcome(child)
  t.is(code, 130)
  t.is(stdout, '')
  await nothingIsLeft(t, pids, here)
})

test('when the parent dies, all processes that it started end', async t => {
  const here = await world(t)
  const parent = script('./fixtures/parent.js')
  const child = here.node(parent, [main, '--only=redis', '--', ...waiting])
  t.is(await firstLine(child), 'running')
  const pids = processTree(child.pid as number)
  t.true(pids.length >= 4)
  child.kill('SIGKILL')
  await nothingIsLeft(t, pids, here)
})

for (const [way, expected] of [
  ['exit', 3],
  ['throw', 1],
  ['nothing', 0],
  ['wait', null],
] as const) {
  test(`a process that started a server itself and ends by ${way} leaves nothing`, async t => {
    const here = await world(t)
    const child = here.node(script('./fixtures/life.js'), [way])
    const pid = Number((await firstLine(child)).split(' ')[0])
    const pids = processTree(pid)
    if (way === 'wait') {
      t.true(isAlive(pid))
      child.kill('SIGKILL')
    }
    t.is((await outcome(child)).code, expected)
    await nothingIsLeft(t, pids, here)
  })
}

test('a server that cannot start is skipped with a warning that says how to get it', async t => {
  const here = await world(t)
  const bare = { PATH: here.folder, TEST_SERVERS_INSTALL: '0' }
  const shared = script('./fixtures/shared.js')
  const child = here.node(main, ['--only=redis', '--', process.execPath, shared], bare)
  const { code, stdout, stderr } = await outcome(child)
  t.is(code, 0)
  t.is(stdout, 'undefined\n')
  t.regex(stderr, /SKIPPED: there is no redis server here\. To get one: install redis-server .+ or set REDIS_URL/)
})

test('a server that cannot start is a failure under CI, and the command does not run', async t => {
  const here = await world(t)
  const bare = { PATH: here.folder, TEST_SERVERS_INSTALL: '0', CI: 'true' }
  const child = here.node(main, ['--only=redis', '--', process.execPath, '-p', '"ran"'], bare)
  const { code, stdout, stderr } = await outcome(child)
  t.is(code, 1)
  t.is(stdout, '')
  t.regex(stderr, /FAILED: there is no redis server here/)
  const shared = await outcome(here.node(script('./fixtures/shared.js'), [], bare))
  t.is(shared.code, 1)
  t.regex(shared.stderr, /ServerUnavailableError: there is no redis server here/)
})

const chromium = ['--only=chromium', '--', process.execPath, script('./fixtures/chromium.js')]

test('Chromium is the executable that CHROMIUM_PATH names, else the first that answers in PATH', async t => {
  const here = await world(t)
  const bare = { PATH: here.folder, TEST_SERVERS_INSTALL: '0' }
  const put = (name: string, text: string) =>
    writeFile(join(here.folder, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  const ask = async (more: NodeJS.ProcessEnv = {}) => {
    const { code, stdout, stderr } = await outcome(here.node(main, chromium, { ...bare, ...more }))
    t.is(code, 0, stderr)
    return { path: stdout.trim(), stderr }
  }
  await put('google-chrome', 'echo Google Chrome 3.2.1')
  await put('chromium-browser', 'echo Install it from the shop; exit 1')
  t.is((await ask()).path, join(here.folder, 'google-chrome'))
  await put('chromium', 'echo a warning >&2; echo Chromium 1.2.3 built on Debian')
  const { path, stderr } = await ask()
  t.is(path, join(here.folder, 'chromium'))
  t.regex(stderr, /test servers: chromium: Chromium 1\.2\.3 \(.+\/chromium\)/)
  t.is((await ask({ CHROMIUM_PATH: '/opt/another' })).path, '/opt/another')
})

test('without Chromium its tests are skipped with a warning that says how to get it; under CI that is a failure', async t => {
  const here = await world(t)
  const bare = { PATH: here.folder, TEST_SERVERS_INSTALL: '0' }
  const warning = /there is no Chromium here\. To get one: install it .+ or set CHROMIUM_PATH/
  const skipped = await outcome(here.node(main, chromium, bare))
  t.is(skipped.code, 0)
  t.is(skipped.stdout, 'undefined\n')
  t.regex(skipped.stderr, new RegExp(`SKIPPED: ${warning.source}`))
  const failed = await outcome(here.node(main, chromium, { ...bare, CI: 'true' }))
  t.is(failed.code, 1)
  t.is(failed.stdout, '')
  t.regex(failed.stderr, new RegExp(`FAILED: ${warning.source}`))
  const alone = await outcome(here.node(script('./fixtures/chromium.js'), [], { ...bare, CI: 'true' }))
  t.is(alone.code, 1)
  t.regex(alone.stderr, warning)
})

test('a wrong command line prints the usage', async t => {
  const here = await world(t)
  for (const args of [['true'], ['--only=oracle', '--', 'true']]) {
    const { code, stderr } = await outcome(here.node(main, args))
    t.is(code, 1)
    t.regex(stderr, /usage: main\.ts/)
  }
  t.is((await outcome(here.node(main, ['--only=redis', '--', 'no-such-command']))).code, 1)
})

for (const way of ['end', 'exit']) {
  test(`without a program and with Docker, a container is run, and removed at ${way}`, async t => {
    const here = await world(t)
    const bin = join(here.folder, 'bin')
    await mkdir(bin)
    const fake = ['/bin/sh', script('../test/fixtures/fake-docker.sh'), here.folder, findProgram('redis-server')]
    await writeFile(join(bin, 'docker'), `#!/bin/sh\nexec ${fake.join(' ')} "$@"\n`, { mode: 0o755 })
    const bare = { PATH: bin, TEST_SERVERS_INSTALL: '0' }
    const { code, stdout, stderr } = await outcome(here.node(script('./fixtures/docker.js'), [way], bare))
    t.is(code, 0, stderr)
    t.regex(stdout, /^Docker redis:7, pid undefined, redis:\/\/127\.0\.0\.1:\d+\n$/)
    const calls = async () => (await readFile(join(here.folder, 'calls'), 'utf8')).trim().split('\n')
    const deadline = Date.now() + 60_000
    while (!(await calls()).some(call => call.startsWith('rm ')) && Date.now() < deadline) await sleep(20)
    const words = (await calls()).map(call => call.split(' ')[0]).filter(word => word !== 'inspect')
    const restarted = ['kill', 'wait', 'start']
    const life = way === 'end' ? ['pause', 'unpause', ...restarted, ...restarted, 'kill', 'wait'] : []
    t.deepEqual(words, ['version', 'run', ...life, 'rm'])
    const run = (await calls()).find(call => call.startsWith('run ')) ?? ''
    t.regex(run, /--publish 127\.0\.0\.1:\d+:6379 redis:7 redis-server --appendonly yes/)
    await nothingIsLeft(t, [], here)
  })
}

test('one process at a time holds a lock, and a lock of a dead process is taken over', async t => {
  const here = await world(t)
  const name = `test-${process.pid}`
  let inside = 0
  const results = await Promise.all(
    Array.from({ length: 4 }, (_, index) =>
      withLock(name, async () => {
        t.is(++inside, 1)
        await sleep(10)
        inside--
        return index
      }),
    ),
  )
  t.deepEqual(results, [0, 1, 2, 3])
  const child = here.node(script('./fixtures/lock.js'), [name])
  t.is(await firstLine(child), 'locked')
  let isEntered = false
  const entering = withLock(name, async () => {
    isEntered = true
  })
  await sleep(300)
  t.false(isEntered)
  child.kill('SIGKILL')
  await entering
  t.true(isEntered)
  await t.throwsAsync(
    withLock(name, () => Promise.reject(new Error('given on'))),
    { message: 'given on' },
  )
  t.is(await withLock(name, async () => 'free again'), 'free again')
})
