import { setImmediate } from 'node:timers/promises'
import { startStoreProcess } from './store-process.js'
import { type Moment, stopping, stopsIn } from './strace.js'

type AtStop = (moment: Moment, isAnswered: boolean) => Promise<unknown>

/** A process with file stores in it that stops whenever it has changed the disk. */
export interface StoppingProcess {
  /** Calls a method of the store, as a store process does. The process goes on when the promise of `atStop` is settled. */
  call<T>(directory: string, call: readonly [method: string, ...args: unknown[]], atStop?: AtStop): Promise<T>
  end(): Promise<unknown>
}

/** Starts a process that stops after these other system calls too. */
export async function startStoppingProcess(...others: string[]): Promise<StoppingProcess> {
  let stopped = (_call: string) => {}
  const there = await startStoreProcess(
    stopping(...others),
    stopsIn(call => stopped(call)),
  )
  return {
    async call<T>(directory: string, [method, ...args]: readonly [string, ...unknown[]], atStop?: AtStop) {
      const counts = new Map<string, number>()
      const stops: Promise<unknown>[] = []
      let isAnswered = false
      const visit = async (name: string) => {
        const nth = (counts.get(name) ?? 0) + 1
        counts.set(name, nth)
        // An answer that was given before the stop arrives.
        for (let turn = 0; turn < 3; turn++) await setImmediate()
        await atStop?.({ name, nth }, isAnswered)
      }
      stopped = name => {
        const visiting = visit(name).finally(() => there.kill('SIGCONT'))
        visiting.catch(() => {})
        stops.push(visiting)
      }
      const answer = await there.call<T>(directory, method, ...args).finally(() => {
        isAnswered = true
      })
      await Promise.all(stops)
      return answer
    },
    end: () => there.end(),
  }
}
