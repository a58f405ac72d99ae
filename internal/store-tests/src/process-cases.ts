import { processCount } from '@koa-session/behaviour/full'
import type { Capability } from 'koa-session-core/testkit'
import { repeatedCases } from './repeated-cases.js'
import { remoteStore, type StoreProcess, startStoreProcess } from './store-process.js'
import type { StoreCase } from './tested-store.js'

export interface ProcessOptions {
  readonly processes: readonly StoreProcess[]
  readonly capabilities: readonly Capability[]
}

/** Processes whose stores are opened by the function `open`, an `OpenStore`, of `module`. */
export async function startProcesses(module: URL, url: string): Promise<StoreProcess[]> {
  return Promise.all(Array.from({ length: processCount }, () => startStoreProcess(module, url)))
}

/** Races and conditions with every store in another process. Races of processes are the testkit's `raceOfProcesses`. */
export function processCases({ processes, capabilities }: ProcessOptions): StoreCase[] {
  let opened = 0
  const create = (world: string) =>
    remoteStore(processes[opened++ % processes.length] as StoreProcess, world, capabilities.includes('sweep'))
  return repeatedCases({ create, capabilities }).map(({ title, run }) => ({
    title: `with every store in another process: ${title}`,
    run,
  }))
}

/** How a test calls `raceOfProcesses`: it repeats a count with more until the processes have met. */
export const raceSettings = { processes: processCount, increments: 25, timeout: 120_000 }
