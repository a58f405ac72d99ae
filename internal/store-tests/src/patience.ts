import { setTimeout as sleep } from 'node:timers/promises'
import { patient, stopwatch } from '@koa-session/behaviour/patience'

/** How long a call that has to end, or to work again, may take: less than it would if it waited for the server. */
export const soon = 4_000

/** How long to wait for what comes by itself, in milliseconds. */
const atMost = 30_000

export const hundred = <T>(task: () => Promise<T>): Promise<T[]> => Promise.all(Array.from({ length: 100 }, task))

/** The message of the error, and the result. */
export async function settled<T>(calling: Promise<T>): Promise<[error: string | undefined, answer?: T]> {
  try {
    return [undefined, await calling]
  } catch (error) {
    return [(error as Error).message]
  }
}

/** A connection that died meanwhile is found dead by the call that takes it. */
export async function eventually<T>(call: () => Promise<T>): Promise<T> {
  const watch = stopwatch()
  for (;;) {
    try {
      return await call()
    } catch (error) {
      if (watch() > patient(atMost)) throw error
      await sleep(50)
    }
  }
}

/** Resolves once `isSo`, or when it has not become so for long. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const watch = stopwatch()
  while (!(await isSo()) && watch() < patient(atMost)) await sleep(20)
}
