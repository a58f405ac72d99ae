import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { isFull } from '@koa-session/behaviour/full'
import { patient } from '@koa-session/behaviour/patience'
import { inMemory } from '@koa-session/store-tests/in-memory'
import test from 'ava'
import type { SessionRecord, Store } from 'koa-session-core'
import { fileStore } from 'koa-session-store-file'
import { type StoppingProcess, startStoppingProcess } from './stopping-process.js'
import { startStoreProcess } from './store-process.js'
import { haveStrace, killedAt, type Moment } from './strace.js'

// A killed process leaves the same in memory as on a disk, and makes the same calls.
const root = await mkdtemp(join(inMemory(), 'koa-session-file-'))
test.after.always(() => rm(root, { recursive: true, force: true }))

const key = 'c'.repeat(64)
const expiresAt = Date.now() + 3_600_000
const first: SessionRecord = { data: 'the first', version: 'first', seenAt: 1, expiresAt, subject: 'a'.repeat(64) }
const second: SessionRecord = { data: 'the second, '.repeat(1_000), version: 'second', seenAt: 2, expiresAt }
const third: SessionRecord = { data: 'the third', version: 'third', seenAt: 3, expiresAt }
const same: SessionRecord = { ...first, version: 'same', seenAt: 2 }
const another: SessionRecord = { ...third, version: 'another', subject: 'b'.repeat(64) }
const times = { seenAt: 4, expiresAt: expiresAt + 1 }

interface Scenario {
  readonly title: string
  readonly prepare: (store: Store) => Promise<unknown>
  readonly call: readonly [method: string, ...args: unknown[]]
  readonly before: SessionRecord | undefined
  readonly after: SessionRecord | undefined
  /** The system calls that this takes, in order: the process is killed anywhere between them. */
  readonly takes: string
}

const nothing = async () => {}
const create = (record: SessionRecord) => (store: Store) => store.write(key, record, null)

const scenarios: readonly Scenario[] = [
  {
    title: 'a first write',
    prepare: nothing,
    call: ['write', key, second, null],
    before: undefined,
    after: second,
    takes: 'mkdir fsync mkdir rename mkdir mkdir mkdir pwrite64 fsync fsync rename fsync',
  },
  {
    title: 'a write over another',
    prepare: create(first),
    call: ['write', key, same, 'first'],
    before: first,
    after: same,
    takes: 'pwrite64 fsync fsync rename fsync unlink',
  },
  {
    title: 'a write that takes the subject away',
    prepare: create(first),
    call: ['write', key, second, 'first'],
    before: first,
    after: second,
    takes: 'pwrite64 fsync fsync rename fsync unlink rmdir unlink',
  },
  {
    title: 'a write that changes the subject',
    prepare: create(first),
    call: ['write', key, another, 'first'],
    before: first,
    after: another,
    // The entry, in a folder of its own, is on the disk before the tag that names it.
    takes: 'pwrite64 fsync fsync mkdir fsync fsync mkdir fsync fsync rename fsync unlink rmdir unlink',
  },
  {
    title: 'a touch',
    prepare: create(first),
    call: ['touch', key, times, 'first'],
    before: first,
    after: { ...first, ...times },
    takes: 'rename fsync',
  },
  {
    title: 'a destroy',
    prepare: create(first),
    call: ['destroy', key],
    before: first,
    after: undefined,
    takes: 'unlink unlink rmdir unlink rmdir fsync',
  },
  {
    title: 'a sweep',
    prepare: create(first),
    // The record's life, and the hour by which sweeping waits longer.
    call: ['sweepLater', 3 * 3_600_000],
    before: first,
    after: undefined,
    takes: 'unlink unlink rmdir unlink rmdir unlink rmdir',
  },
]

/** Really killed as well, to show that a copy is what a kill leaves. */
const longest = scenarios.reduce((one, other) => (other.takes.length > one.takes.length ? other : one))

if (haveStrace()) {
  // One for all scenarios: to start it takes longer than to stop it everywhere.
  let there: StoppingProcess
  test.before(async () => {
    there = await startStoppingProcess()
  })
  test.after.always(() => there?.end())

  for (const scenario of scenarios) {
    const { title, call, before, after, takes } = scenario
    test.serial(
      `wherever a process is killed in ${title}, the record is wholly old or wholly new, and an acknowledged one is there`,
      async t => {
        const verify = async (at: string, directory: string, acknowledged: boolean) => {
          const found = await fileStore({ directory }).read(key)
          t.true(isDeepStrictEqual(found, after) || (!acknowledged && isDeepStrictEqual(found, before)), at)
          for (const { subject } of [first, another]) {
            t.is(await isListed(directory, subject), found !== undefined && found.subject === subject, at)
          }
          await leavesNothing(directory, found?.version ?? null)
        }

        // While the process is stopped, the disk is as a kill would leave it: a copy of it takes no process for each.
        const moments: Moment[] = []
        const left: (() => Promise<void>)[] = []
        const directory = await prepared(scenario)
        const copyDisk = async (moment: Moment, acknowledged: boolean) => {
          const copy = `${directory}-${moments.push(moment)}`
          await cp(directory, copy, { recursive: true })
          left.push(() => verify(`as after ${moment.name} ${moment.nth}`, copy, acknowledged))
        }
        await there.call(directory, call, copyDisk)
        t.is(moments.map(({ name }) => name.replace(/at$/, '')).join(' '), takes)
        for (const check of left) await check()
        await verify('after all', directory, true)

        for (const moment of isFull ? moments : scenario === longest ? moments.slice(-2, -1) : []) {
          const at = `killed at ${moment.name} ${moment.nth}`
          const { killed, acknowledged, directory } = await kill(scenario, moment)
          t.true(killed, at)
          await verify(at, directory, acknowledged)
        }
      },
    )
  }
} else if (process.env.CI === 'true') {
  test('strace, which kills processes in the middle of a system call, is there', t => t.fail())
} else {
  console.warn('NOT TESTED: crashes of the file store. Install strace (Linux) to test them.')
  test.skip('without strace no crash is tested', t => t.fail())
}

async function prepared({ prepare }: Scenario): Promise<string> {
  const directory = await mkdtemp(join(root, 'killed-'))
  await prepare(fileStore({ directory }))
  return directory
}

async function kill(scenario: Scenario, moment: Moment) {
  const directory = await prepared(scenario)
  const child = await startStoreProcess(killedAt(moment))
  const acknowledged = await child.call(directory, ...scenario.call).then(
    () => true,
    error => {
      if (error.code !== 'PROCESS_ENDED') throw error
      return false
    },
  )
  return { directory, acknowledged, killed: (await child.end()) === 'SIGKILL' }
}

async function isListed(directory: string, subject: string | undefined): Promise<boolean> {
  for await (const listed of fileStore({ directory }).keys({ subject: subject ?? '' })) return listed === key
  return false
}

/** A killed process delays no other, and its leftovers are gone after the next write and the next sweep. */
async function leavesNothing(directory: string, version: string | null): Promise<void> {
  const store = fileStore({ directory })
  const written = await store.write(key, third, version, { signal: AbortSignal.timeout(patient(5_000)) })
  if (!written) throw new Error('the next write lost against nobody')
  if ((await store.read(key))?.data !== third.data) throw new Error('the next write is not there')
  await store.sweep()
  const files = await readdir(directory, { recursive: true })
  const session = files.filter(path => !/^(due|subjects(\/complete|\/[0-9a-f]{2})?$)/.test(path))
  // A shard, and in it the session's folder, its tag and its record file.
  if (!files.some(path => path.startsWith('due/') && path.endsWith(key))) throw new Error('no sweep would look at it')
  if (session.length !== 4) throw new Error(`left behind: ${files.join(' ')}`)
}
