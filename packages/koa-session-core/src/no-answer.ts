import { within } from './waiting.js'

/** The server did not answer in time. */
export class NoAnswerError extends Error {
  constructor(store: string, milliseconds: number) {
    super(`${store} gave no answer within ${milliseconds} ms`)
  }
}

/** Settles like `answer`, or rejects with a NoAnswerError after this many milliseconds. */
export const answerWithin = <T>(store: string, bound: number, answer: Promise<T>): Promise<T> =>
  within(bound, answer, () => new NoAnswerError(store, bound))

/** Whether the error is typical of a connection that a firewall has forgotten: silence, or an immediate reset. */
export const isForgotten = (error: unknown): boolean =>
  error instanceof NoAnswerError || ['ECONNRESET', 'EPIPE'].includes(Object(error).code)
