import { setTimeout as sleep } from 'node:timers/promises'

/** How long a call that has to end, or to work again, may take: far less than it would if it waited for the server. */
export const soon = 1_500

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
  for (let attempt = 1; ; attempt++) {
    try {
      return await call()
    } catch (error) {
      if (attempt === 50) throw error
      await sleep(50)
    }
  }
}
