import { clearTimeout, setTimeout } from './waiting.js'

/** The server did not answer in time. */
export class NoAnswerError extends Error {
  constructor(store: string, milliseconds: number) {
    super(`${store} gave no answer within ${milliseconds} ms`)
  }
}

/** Settles like `answer`, or rejects with a NoAnswerError after this many milliseconds. */
export async function answerWithin<T>(store: string, bound: number | undefined, answer: Promise<T>): Promise<T> {
  if (bound === undefined) return answer
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new NoAnswerError(store, bound)), bound)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Whether the error is typical of a connection that a firewall has forgotten: silence, or an immediate reset. */
export const isForgotten = (error: unknown): boolean =>
  error instanceof NoAnswerError || ['ECONNRESET', 'EPIPE'].includes(Object(error).code)
