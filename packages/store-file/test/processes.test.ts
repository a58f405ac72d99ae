import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { repeatedCases } from '@koa-session/store-tests'
import test from 'ava'
import { raceOfProcesses } from 'koa-session-core/testkit'
import { fileStore } from 'koa-session-store-file'
import { remoteStore, type StoreProcess, startStoreProcess } from './store-process.js'

const root = await mkdtemp(join(tmpdir(), 'koa-session-file-'))
const processes: StoreProcess[] = []
test.before(async () => {
  processes.push(...(await Promise.all(Array.from({ length: 4 }, () => startStoreProcess()))))
})
test.after.always(async () => {
  await Promise.all(processes.map(one => one.end()))
  await rm(root, { recursive: true, force: true })
})

const key = (n: number): string => n.toString(16).padStart(64, '0')
const live = (data: string, version: string) => ({ data, version, seenAt: 1, expiresAt: Date.now() + 600_000 })

let opened = 0
const create = (world: string) => {
  const there = processes[opened++ % processes.length]
  if (!there) throw new Error('no process')
  return remoteStore(there, join(root, world))
}

for (const { title, run } of repeatedCases({ create, capabilities: ['sweep', 'keys', 'shared'] })) {
  test(`with every store in another process: ${title}`, async t => {
    await t.notThrowsAsync(run())
  })
}

test.serial('the race of processes that the testkit offers to authors of stores', async t => {
  process.env.FILE_STORE_WORLDS = root
  const module = new URL('world.js', import.meta.url)
  await t.notThrowsAsync(raceOfProcesses({ module, increments: 25, timeout: 120_000 }))
})

test('a counter raised by compare-and-set from four processes is exact', async t => {
  const directory = join(root, 'counter')
  const store = fileStore({ directory })
  await store.write(key(1), live('0', 'first'), null)
  // Until they did race: on a busy machine one may be through before the next has its turn.
  for (let total = 0, lost = 0; lost === 0; ) {
    const losses = await Promise.all(processes.map(one => one.call<number>(directory, 'increment', key(1), 100)))
    for (const times of losses) lost += times
    total += 100 * processes.length
    t.is((await store.read(key(1)))?.data, String(total))
  }
})

test('of creators in four processes exactly one wins, and its record is there', async t => {
  const directory = join(root, 'creators')
  const store = fileStore({ directory })
  const keys = Array.from({ length: 100 }, (_, n) => key(n))
  const won = await Promise.all(processes.map(one => one.call<string[]>(directory, 'create', keys)))
  t.deepEqual(won.flat().sort(), keys)
  for (const [n, { pid }] of processes.entries()) {
    for (const key of won[n] ?? []) t.is((await store.read(key))?.data, String(pid))
  }
})

test('a destroyed session stays dead while four processes write and touch it', async t => {
  const directory = join(root, 'destroyed')
  const store = fileStore({ directory })
  for (let round = 0; round < 20; round++) {
    await store.write(key(round), live('x', 'first'), null)
    const outlived = processes.map(one => one.call<number>(directory, 'outlive', key(round)))
    await new Promise(resolve => setTimeout(resolve, round))
    await store.destroy(key(round))
    await Promise.all(outlived)
    t.is(await store.read(key(round)), undefined)
  }
  await store.sweep()
  t.deepEqual(
    (await processes[0]?.call<string[]>(directory, 'files', directory))?.filter(
      path => path.length > 2 && !path.startsWith('due'),
    ),
    [],
  )
})
