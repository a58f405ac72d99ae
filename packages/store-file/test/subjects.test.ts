import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import type { EnumerableStore, SessionRecord } from 'koa-session-core'
import { fileStore } from 'koa-session-store-file'
import { makeTag } from '../dist/tag.js'

const root = await mkdtemp(join(tmpdir(), 'koa-session-file-'))
test.after.always(() => rm(root, { recursive: true, force: true }))

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const ann = sha256('ann')
const bob = sha256('bob')
const keys = Array.from({ length: 8 }, (_, n) => sha256(`key ${n}`))
const expiresAt = Date.now() + 3_600_000

let versions = 0
const record = (subject?: string): SessionRecord => ({
  data: 'data',
  expiresAt,
  seenAt: 1,
  version: `version ${++versions}`,
  ...(subject !== undefined && { subject }),
})

async function listed(store: EnumerableStore, subject: string): Promise<string[]> {
  const found: string[] = []
  for await (const key of store.keys({ subject })) found.push(key)
  return found.sort()
}

/** What is kept for subjects, without what stays for good. */
async function entries(directory: string): Promise<string[]> {
  const names = await readdir(join(directory, 'subjects'), { recursive: true })
  return names.filter(name => name !== 'complete' && name.length > 2)
}

/** With a file for a shard, a walk through all sessions fails. */
const spoilWalks = (directory: string) => writeFile(join(directory, '00'), 'no directory')

async function writeAsBefore(directory: string, key: string, subject: string): Promise<void> {
  const store = fileStore({ directory })
  // A session without subject looks as it did, and so do its data.
  await store.write(key, { ...record(), version: 'before' }, null)
  const folder = join(directory, key.slice(0, 2), key)
  const [name = ''] = await readdir(folder)
  const [, , attempt = '', previous = ''] = name.split('_')
  const old = makeTag(key, { attempt, previous, version: 'before', expiresAt, seenAt: 1, subject })
  await writeFile(join(folder, old.name), '')
  await rm(join(folder, name))
}

test('the sessions of a subject are listed without a look at those of others', async t => {
  const directory = join(root, 'own')
  const store = fileStore({ directory })
  for (const [n, key] of keys.entries()) await store.write(key, record(n % 2 ? ann : bob), null)
  await spoilWalks(directory)
  await t.throwsAsync(async () => {
    for await (const _ of store.keys());
  })
  const ofAnn = keys.filter((_, n) => n % 2).sort()
  t.deepEqual(await listed(store, ann), ofAnn)
  t.deepEqual(await listed(fileStore({ directory }), ann), ofAnn)
  t.deepEqual(await listed(store, sha256('nobody')), [])
})

test('sessions of the first layout are listed at once, and by their subject after a sweep', async t => {
  const directory = join(root, 'before')
  // Not begun by this process.
  await mkdir(join(directory, 'ff'), { recursive: true })
  const [a = '', b = '', c = '', d = ''] = keys
  for (const key of [a, b, c]) await writeAsBefore(directory, key, ann)
  const store = fileStore({ directory })
  // One comes into a directory that is not listed as a whole yet, and one leaves its subject.
  await store.write(d, record(ann), null)
  await store.write(c, record(bob), 'before')
  t.deepEqual(await listed(store, ann), [a, b, d].sort())

  t.is(await store.sweep(), 0)
  await spoilWalks(directory)
  t.deepEqual(await listed(store, ann), [a, b, d].sort())
  t.deepEqual(await listed(store, bob), [c])
  t.is((await store.read(a))?.version, 'before')
  t.true(await store.write(a, record(bob), 'before'))
  await store.destroy(b)
  t.deepEqual(await listed(store, ann), [d])
  t.is((await entries(directory)).length, 5, 'a folder for each subject, and a file for each session')
})

test('what is kept for subjects may be removed: sessions are listed all the same, and a sweep makes it again', async t => {
  const directory = join(root, 'removed')
  const store = fileStore({ directory })
  for (const key of keys) await store.write(key, record(ann), null)
  await rm(join(directory, 'subjects'), { recursive: true })
  t.deepEqual(await listed(store, ann), [...keys].sort())
  t.true(await store.write(sha256('another'), record(bob), null))
  t.deepEqual(await listed(store, bob), [sha256('another')])

  t.is(await fileStore({ directory }).sweep(), 0)
  t.is((await entries(directory)).length, 2 + keys.length + 1)
  await rm(join(directory, 'subjects', ann.slice(0, 2), ann), { recursive: true })
  await fileStore({ directory }).sweep()
  await spoilWalks(directory)
  t.deepEqual(await listed(store, ann), [...keys].sort())
})

test('an entry that no session names is not believed', async t => {
  const directory = join(root, 'stale')
  const store = fileStore({ directory })
  const [a = '', b = ''] = keys
  await store.write(a, record(ann), null)
  await store.write(b, record(bob), null)
  const folder = join(directory, 'subjects', ann.slice(0, 2), ann)
  for (const name of [`${a}.${'1'.repeat(16)}`, `${b}.${'2'.repeat(16)}`, `${keys[2]}.${'3'.repeat(16)}`, 'foreign']) {
    await writeFile(join(folder, name), '')
  }
  await mkdir(join(folder, 'folder'))
  t.deepEqual(await listed(store, ann), [a])
  t.deepEqual(await listed(store, bob), [b])
})

test('however writers of several stores race, a session is listed under its subject, and nothing is left of an ended one', async t => {
  const directory = join(root, 'races')
  // Each has turns of its own, as each process has.
  const stores = Array.from({ length: 4 }, () => fileStore({ directory }))
  await Promise.all(
    stores.map(async (store, number) => {
      for (let step = 0; step < 150; step++) {
        const key = keys[(step * 3 + number) % 4] ?? ''
        const now = await store.read(key)
        if (step % 10 === number) await store.destroy(key)
        else await store.write(key, record([ann, bob, undefined][(step + number) % 3]), now?.version ?? null)
      }
    }),
  )
  const [store = fileStore()] = stores
  await store.sweep()
  const subjects = await Promise.all(keys.map(async key => (await store.read(key))?.subject))
  for (const subject of [ann, bob]) {
    t.deepEqual(await listed(store, subject), keys.filter((_, n) => subjects[n] === subject).sort())
  }
  for (const key of keys) await store.destroy(key)
  t.deepEqual(await entries(directory), [])
})
