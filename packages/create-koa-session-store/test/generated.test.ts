import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { isFull } from '@koa-session/behaviour/full'
import { inMemory } from '@koa-session/store-tests/in-memory'
import test from 'ava'
import { createStorePackage } from 'create-koa-session-store'
import { conformanceCases } from 'koa-session-core/testkit'

const root = resolve(import.meta.dirname, '../../..')
const folder = await mkdtemp(join(inMemory(), 'koa-session-create-'))
test.after.always(() => rm(folder, { recursive: true, force: true }))

/** The output of a program, whether it succeeds or not. */
async function outputOf(args: string[], cwd: string, env: NodeJS.ProcessEnv = {}): Promise<string> {
  const child = spawn(process.execPath, args, { cwd, env: { ...process.env, NODE_OPTIONS: '', ...env } })
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return output + errors
}

const compiler = join(root, 'node_modules/typescript/bin/tsc')

/** The titles of the tests of a package, as they ended. Compiles it before, which must succeed. */
async function tested(place: string, env?: NodeJS.ProcessEnv): Promise<{ passed: string[]; failed: string[] }> {
  const complaints = await outputOf([compiler, '-b', 'test'], place)
  if (complaints !== '') throw new Error(complaints)
  const { scripts } = JSON.parse(await readFile(join(place, 'package.json'), 'utf8'))
  const files = String(scripts.test)
    .split(' ')
    .filter(word => word.startsWith('build/'))
  // A driver that blocks the event loop must not hang for ever.
  if (!/ --test-timeout=\d+ /.test(scripts.test)) throw new Error('the tests have no timeout')
  const tap = await outputOf(['--test', '--test-reporter=tap', ...files], place, {
    NODE_TEST_CONTEXT: undefined,
    ...env,
  })
  const titles = (what: string) =>
    [...tap.matchAll(new RegExp(`^${what} \\d+ - (.*)$`, 'gm'))].map(found => String(found[1]))
  return { passed: titles('ok').sort(), failed: titles('not ok').sort() }
}

async function generate(name: string): Promise<string> {
  const place = join(folder, name)
  await createStorePackage({ folder: place })
  await symlink(join(root, 'node_modules'), join(place, 'node_modules'))
  return place
}

async function filesIn(place: string): Promise<Map<string, string>> {
  const entries = await readdir(place, { recursive: true, withFileTypes: true })
  const paths = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  return new Map(
    await Promise.all(paths.map(async path => [path.slice(place.length + 1), await readFile(path, 'utf8')] as const)),
  )
}

const contract = conformanceCases({ create: () => Promise.reject(), capabilities: [] }).map(({ title }) => title)
const race = 'the contract holds between processes'

/** These cases need no backend. */
const stubPasses = [
  'a store has a name, for errors and events',
  'a store has keys exactly when its capabilities name it',
  'a store has sweep exactly when its capabilities name it',
  'a store that was never used closes as well',
  'opening a store does no I/O and starts no timer',
]

test.serial(
  'the package compiles under strict TypeScript, and only the cases fail that a stub cannot pass',
  async t => {
    const { passed, failed } = await tested(await generate('my-db'))
    const options = passed.filter(title => /^is refused: |^no message /.test(title))
    t.is(options.length, 7)
    t.deepEqual(
      passed.filter(title => !options.includes(title)),
      stubPasses,
    )
    t.true(contract.filter(title => !stubPasses.includes(title)).every(title => failed.includes(title)))
    t.true(failed.includes(race))
    t.false(failed.some(title => /^is refused/.test(title)))
  },
)

/** A client whose commands are those of another store, which keeps each prefix in a table of its own. */
const client = `
import { sqliteStore } from 'koa-session-store-sqlite'
import type { SessionRecord } from 'koa-session-core'
import Database from 'libsql'

type Times = { seenAt: number; expiresAt: number }

export async function connect(url: string) {
  const database = new Database(new URL(url).pathname, { timeout: 5_000 })
  database.exec('PRAGMA journal_mode = WAL; PRAGMA busy_timeout = 10')
  const at = (prefix: string) => sqliteStore({ database, table: prefix.replace(':', '') })
  return {
    read: (prefix: string, key: string, _now: number) => at(prefix).read(key),
    write: (prefix: string, key: string, record: SessionRecord, expected: string | null, _now: number) =>
      at(prefix).write(key, record, expected),
    touch: (prefix: string, key: string, times: Times, expected: string, _now: number) =>
      at(prefix).touch(key, times, expected),
    destroy: (prefix: string, key: string) => at(prefix).destroy(key),
    sweep: (prefix: string, _latest: number, _batch: number) => at(prefix).sweep(),
    async keys(prefix: string, last: string, _now: number, batch: number, subject: string | undefined) {
      const found: string[] = []
      for await (const key of at(prefix).keys(subject === undefined ? {} : { subject })) if (key > last) found.push(key)
      return found.sort().slice(0, batch)
    },
    close: async () => void database.close(),
  }
}

export type Client = Awaited<ReturnType<typeof connect>>
`

test.serial('once the marked places are filled, every case passes', async t => {
  const place = await generate('filled')
  await writeFile(join(place, 'src/client.ts'), client)
  const store = join(place, 'src/store.ts')
  const filled = (await readFile(store, 'utf8')).replace(/client\.todo\(\s*'(\w+)', /g, 'client.$1(')
  t.notRegex(filled, /client\.todo/)
  await writeFile(store, filled)
  if (!isFull) await shortenRace(place)
  const { passed, failed } = await tested(place, { FILLED_URL: `filled://${join(folder, 'filled.db')}` })
  t.deepEqual(failed, [])
  t.true(contract.every(title => passed.includes(title)))
  t.true(passed.includes(race))
})

/** Two processes find what four find: the race goes on until they have met. */
async function shortenRace(place: string): Promise<void> {
  const file = join(place, 'test/race.test.ts')
  const written = await readFile(file, 'utf8')
  const shortened = written.replace('raceOfProcesses({', 'raceOfProcesses({ processes: 2, increments: 25,')
  if (shortened === written) throw new Error('the race has another form')
  await writeFile(file, shortened)
}

test.serial('every place to fill is marked by a number, and no name of the template is left', async t => {
  const place = join(folder, 'named')
  await createStorePackage({ folder: place, name: '@me/koa-session-store-my-own-db' })
  const files = await filesIn(place)
  t.deepEqual([...files.keys()].sort(), [
    '.github/workflows/ci.yml',
    '.gitignore',
    'LICENSE',
    'README.md',
    'package.json',
    'src/client.ts',
    'src/index.ts',
    'src/options.ts',
    'src/store.ts',
    'test/contract.test.ts',
    'test/open.ts',
    'test/options.test.ts',
    'test/race.test.ts',
    'test/tsconfig.json',
    'tsconfig.json',
  ])
  const all = [...files.values()].join('\n')
  t.notRegex(all, /acme/i)
  t.regex(all, /import \{ myOwnDbStore \} from '@me\/koa-session-store-my-own-db'/)
  t.regex(all, /process\.env\.MY_OWN_DB_URL/)
  const marks = [...all.matchAll(/TODO (\d+):/g)].map(found => Number(found[1])).sort((a, b) => a - b)
  t.deepEqual(
    marks,
    Array.from({ length: 15 }, (_, n) => n + 1),
  )
  const { name, peerDependencies } = JSON.parse(files.get('package.json') ?? '')
  t.is(name, '@me/koa-session-store-my-own-db')
  const ours = JSON.parse(await readFile(join(root, 'packages/store-file/package.json'), 'utf8'))
  t.deepEqual(peerDependencies, ours.peerDependencies)
})
