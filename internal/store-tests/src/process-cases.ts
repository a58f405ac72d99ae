import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Capability } from 'koa-session-core/testkit'
import { repeatedCases } from './repeated-cases.js'
import { remoteStore, type StoreProcess, startStoreProcess } from './store-process.js'
import { newKey, newRecord, newWorld, type StoreCase } from './tested-store.js'

export interface ProcessOptions {
  readonly processes: readonly StoreProcess[]
  readonly capabilities: readonly Capability[]
}

/** Four processes whose stores are opened by the function `open`, an `OpenStore`, of `module`. */
export async function startProcesses(module: URL, url: string): Promise<StoreProcess[]> {
  return Promise.all(Array.from({ length: 4 }, () => startStoreProcess(module, url)))
}

/** Races and conditions with every store in another process, and races between processes. */
export function processCases({ processes, capabilities }: ProcessOptions): StoreCase[] {
  const [first] = processes as [StoreProcess]
  let opened = 0
  const create = (world: string) =>
    remoteStore(processes[opened++ % processes.length] as StoreProcess, world, capabilities.includes('sweep'))

  return [
    ...repeatedCases({ create, capabilities }).map(({ title, run }) => ({
      title: `with every store in another process: ${title}`,
      run,
    })),
    {
      title: 'a counter raised by compare-and-set from four processes is exact',
      async run() {
        const [world, key] = [newWorld(), newKey()]
        const store = remoteStore(first, world, false)
        await store.write(key, newRecord({ data: '0' }), null)
        // Until they did race: on a busy machine one may be through before the next has its turn.
        for (let total = 0, lost = 0; lost === 0; ) {
          const losses = await Promise.all(processes.map(one => one.call<number>(world, 'increment', key, 50)))
          for (const times of losses) lost += times
          total += 50 * processes.length
          assert.equal((await store.read(key))?.data, String(total))
        }
      },
    },
    {
      title: 'of creators in four processes exactly one wins, and its record is there',
      async run() {
        const world = newWorld()
        const store = remoteStore(first, world, false)
        const keys = Array.from({ length: 50 }, newKey).sort()
        const won = await Promise.all(processes.map(one => one.call<string[]>(world, 'create', keys)))
        assert.deepEqual(won.flat().sort(), keys)
        for (const [n, { pid }] of processes.entries()) {
          for (const key of won[n] ?? []) assert.equal((await store.read(key))?.data, String(pid))
        }
      },
    },
    {
      title: 'a destroyed session stays dead while four processes write and touch it',
      async run() {
        const world = newWorld()
        const store = remoteStore(first, world, false)
        for (let round = 0; round < 10; round++) {
          const key = newKey()
          await store.write(key, newRecord(), null)
          const outlived = processes.map(one => one.call<number>(world, 'outlive', key))
          await sleep(round * 3)
          await store.destroy(key)
          await Promise.all(outlived)
          assert.equal(await store.read(key), undefined)
        }
      },
    },
  ]
}
