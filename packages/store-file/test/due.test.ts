import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import type { SessionRecord } from 'koa-session-core'
import { fileStore } from 'koa-session-store-file'

const root = await mkdtemp(join(tmpdir(), 'koa-session-file-'))
test.after.always(() => rm(root, { recursive: true, force: true }))

const minute = 60_000
const hour = 60 * minute
const [a = '', b = '', c = ''] = ['a', 'b', 'c'].map(name => createHash('sha256').update(name).digest('hex'))
const record = (expiresAt: number): SessionRecord => ({ data: 'data', expiresAt, seenAt: 1, version: 'first' })

const { now } = Date
test.beforeEach(() => {
  Date.now = now
})
/** What `work` does `ahead` milliseconds later. */
async function later<T>(ahead: number, work: () => Promise<T>): Promise<T> {
  Date.now = () => now() + ahead
  return work()
}

/** With a file for a shard, a walk through all sessions fails. */
const spoilWalks = (directory: string) => writeFile(join(directory, '00'), 'no directory')

test.serial('within the hour after a sweep, the next ones look at nothing but what is due', async t => {
  const directory = join(root, 'due')
  const store = fileStore({ directory })
  // Another process, whose sessions this one learns of from the disk only.
  const other = fileStore({ directory })
  const start = now()
  await store.write(a, record(start + minute), null)
  t.is(await store.sweep(), 0)
  await spoilWalks(directory)
  await other.write(b, record(start + minute), null)
  await other.write(c, record(start + 3 * hour), null)

  t.is(await later(50 * minute, () => store.sweep()), 0, 'not before an hour after the expiry')
  await t.throwsAsync(
    later(70 * minute, () => fileStore({ directory }).sweep()),
    { code: 'ENOTDIR' },
  )
  t.deepEqual((await readdir(join(directory, 'due'))).length, 1, 'but what is due is swept first')
  t.is(await store.read(b), undefined)
  t.is((await store.read(c))?.version, 'first')
})

test.serial(
  'a session that lives longer than it was to is swept when that is over, and one that lives shorter as well',
  async t => {
    const directory = join(root, 'times')
    const store = fileStore({ directory })
    const start = now()
    await store.write(a, record(start + minute), null)
    await store.write(b, record(start + minute), null)
    await store.write(c, record(start + 10 * hour), null)
    t.is(await store.sweep(), 0)
    t.true(await store.touch(a, { seenAt: 2, expiresAt: start + 5 * hour }, 'first'))
    t.true(await store.write(b, { ...record(start + 6 * hour), version: 'second' }, 'first'))
    t.true(await store.touch(c, { seenAt: 2, expiresAt: start + 2 * hour }, 'first'))

    await spoilWalks(directory)
    for (const [ahead, left] of [
      [70 * minute, [a, b, c]],
      [3 * hour + 10 * minute, [a, b]],
      [6 * hour + 10 * minute, [b]],
      [7 * hour + 10 * minute, []],
    ] as const) {
      // What is due is swept before the walk fails.
      const sweep = later(ahead, () => store.sweep())
      await t.throwsAsync(sweep, { code: 'ENOTDIR' })
      Date.now = now
      const found = await Promise.all([a, b, c].map(async key => ((await store.read(key)) ? key : '')))
      t.deepEqual(found.filter(Boolean), left)
    }
  },
)

test.serial('a session of which nothing says when it is due is found by the first sweep of a process', async t => {
  const directory = join(root, 'unknown')
  const store = fileStore({ directory })
  await store.write(a, record(now() + minute), null)
  await rm(join(directory, 'due'), { recursive: true })
  t.is(await later(70 * minute, () => fileStore({ directory }).sweep()), 1)
})
