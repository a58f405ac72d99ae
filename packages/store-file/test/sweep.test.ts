import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isFull } from '@koa-session/behaviour/full'
import { inMemory } from '@koa-session/store-tests/in-memory'
import test from 'ava'
import { fileStore } from 'koa-session-store-file'
import { makeTag } from '../dist/tag.js'

// It is the number of files that counts here, not the disk.
const root = await mkdtemp(join(inMemory(), 'koa-session-file-'))
test.after.always(() => rmSync(root, { recursive: true, force: true }))

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const subjects = Array.from({ length: 10 }, (_, n) => sha256(`subject ${n}`))

/**
 * Two files each, the even ones live and the odd ones expired, in so many of the shards. Made without the store, which is
 * thorough and slow.
 */
function makeSessions(directory: string, count: number, shards = 256): void {
  for (let n = 0; n < count; n++) {
    const key = keyOf(n, shards)
    const tag = makeTag(key, {
      attempt: 'a'.repeat(16),
      previous: 'b'.repeat(16),
      version: 'v',
      expiresAt: n % 2 ? 1 : Date.now() + 3_600_000,
      seenAt: 1,
      subject: subjects[n % 10] ?? '',
    })
    const shard = join(directory, key.slice(0, 2))
    mkdirSync(join(shard, key), { recursive: true })
    writeFileSync(join(shard, key, tag.name), '')
    writeFileSync(join(shard, `${key}.${tag.attempt}.${tag.previous}`), 'data')
  }
}

const isShard = (name: string): boolean => name.length === 2

const keyOf = (n: number, shards: number): string => {
  const hash = sha256(String(n))
  const shard = Number.parseInt(hash.slice(0, 2), 16) % shards
  return shard.toString(16).padStart(2, '0') + hash.slice(2)
}

/** The processor time of this thread, in milliseconds; where the system does not tell, of the whole process. */
function processorTime(): number {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]) / 1e6
  } catch {
    return process.cpuUsage().user / 1e3
  }
}

/** The longest that `work` kept the event loop, in processor time: a clock would count other processes in. */
async function longestHold(work: () => Promise<unknown>): Promise<number> {
  let longest = 0
  let last = processorTime()
  const timer = setInterval(() => {
    const now = processorTime()
    longest = Math.max(longest, now - last)
    last = now
  }, 1)
  await work()
  clearInterval(timer)
  return longest
}

/** What could keep the event loop is a shard, so a few of them with as many sessions each show it. */
const [shards, count] = isFull ? [256, 50_000] : [10, 1_960]

// Alone: what another test does in this process would count in.
test.serial(
  `listing and sweeping ${2 * count} files, 390 in a folder, never keep the event loop for 50 ms`,
  async t => {
    const directory = join(root, 'many')
    makeSessions(directory, count, shards)
    const store = fileStore({ directory })

    const listed: string[] = []
    const listing = await longestHold(async () => {
      for await (const key of store.keys({ subject: subjects[4] ?? '' })) listed.push(key)
    })
    t.is(new Set(listed).size, count / 10)
    t.is(listed.length, count / 10)

    let swept = 0
    const sweeping = await longestHold(async () => {
      swept = await store.sweep()
    })
    t.log(`keys ${listing.toFixed(1)} ms, sweep ${sweeping.toFixed(1)} ms`)
    t.is(swept, count / 2)
    const left = await Promise.all(
      (await readdir(directory)).filter(isShard).map(shard => readdir(join(directory, shard))),
    )
    t.is(left.flat().length, count, 'a folder and a record file for every live session')

    // The sweep gave these sessions, which are of the first layout, their entries.
    const expected = new Set(listed)
    const again = await longestHold(async () => {
      for await (const key of store.keys({ subject: subjects[4] ?? '' })) t.true(expected.delete(key))
    })

    t.true(listing < 50)
    t.true(sweeping < 50)
    t.is(expected.size, 0)
    t.true(again < 50)
  },
)

test('a sweep takes away what dead processes left, and no foreign file', async t => {
  const directory = join(root, 'litter')
  makeSessions(directory, 1)
  const key = sha256('0')
  const shard = join(directory, key.slice(0, 2))
  const other = `${key.slice(0, 2)}${'0'.repeat(62)}`
  const unfinished = `new.${'1'.repeat(16)}`
  mkdirSync(join(shard, unfinished))
  writeFileSync(join(shard, unfinished, makeTag(other, blank).name), '')
  mkdirSync(join(shard, other))
  writeFileSync(join(shard, other, makeTag(other, blank).name), '')
  writeFileSync(join(shard, `${other}.${'2'.repeat(16)}.${blank.attempt}`), 'of a creator')
  writeFileSync(join(shard, `${key}.${'3'.repeat(16)}.${'4'.repeat(16)}`), 'of a writer that lost')
  writeFileSync(join(shard, `${key}.${'5'.repeat(16)}.${'a'.repeat(16)}`), 'of a writer that may still win')
  writeFileSync(join(shard, 'README'), 'foreign')
  writeFileSync(join(directory, 'README'), 'foreign')

  t.is(await fileStore({ directory }).sweep(), 0)
  t.deepEqual(
    (await readdir(shard)).sort(),
    ['README', key, `${key}.${'5'.repeat(16)}.${'a'.repeat(16)}`, `${key}.${'a'.repeat(16)}.${'b'.repeat(16)}`].sort(),
  )
  t.true((await readdir(directory)).includes('README'))
})

const blank = { attempt: 'c'.repeat(16), previous: '0'.repeat(16), version: '', expiresAt: 0, seenAt: 0 }

test('an aborted sweep or listing stops, with the reason', async t => {
  const directory = join(root, 'aborted')
  makeSessions(directory, 500)
  const store = fileStore({ directory })
  const reason = new Error('enough')
  const aborter = new AbortController()
  const sweep = store.sweep({ signal: aborter.signal })
  setImmediate(() => aborter.abort(reason))
  t.is(await t.throwsAsync(sweep), reason)
  t.true((await store.sweep()) > 0, 'it stopped before the end')

  const second = new AbortController()
  const listing = (async () => {
    for await (const _ of store.keys({ signal: second.signal })) second.abort(reason)
  })()
  t.is(await t.throwsAsync(listing), reason)
})
