import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { raceSettings, repeatedCases } from '@koa-session/store-tests'
import test from 'ava'
import { raceOfProcesses } from 'koa-session-core/testkit'
import { fileStore } from 'koa-session-store-file'
import { remoteStore, type StoreProcess, startStoreProcess } from './store-process.js'

const root = await mkdtemp(join(tmpdir(), 'koa-session-file-'))
const processes: StoreProcess[] = []
test.before(async () => {
  processes.push(...(await Promise.all(Array.from({ length: raceSettings.processes }, () => startStoreProcess()))))
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
  await t.notThrowsAsync(raceOfProcesses({ module, ...raceSettings }))
})

test('a destroyed session stays dead while other processes write and touch it, and leaves no file', async t => {
  const directory = join(root, 'destroyed')
  const store = fileStore({ directory })
  for (let round = 0; round < 8; round++) {
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
