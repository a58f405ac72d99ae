import type { IncomingMessage } from 'node:http'
import type { IdTransport, Presented } from './cookie.js'
import type { Engine } from './engine.js'
import { isSessionError, type SessionError, undecodable } from './errors.js'
import { messages } from './flash-queue.js'
import type { GuardedCodec } from './guarded-codec.js'
import { isLive, type Live, type Tombstone } from './record.js'

/** The outcome of the search for the session that a request names. */
export interface Lookup {
  readonly id: string
  readonly key: string
  /** Whether the answer is the one of a secure request. */
  readonly secure: boolean
  readonly state?: Live | Tombstone
  /** The store failed, so the session may live. */
  readonly error?: SessionError
}

/** The most values of one request to try. Each costs a read, and anybody can make them up. */
const attempts = 3

/**
 * Read the session that a request names. A cookie may come several times, under an old domain or path: the first value that
 * names a live session counts. A failing read ends the search, because that session may be the live one.
 */
export async function lookUp(
  { options, store }: Engine,
  transport: IdTransport,
  req: IncomingMessage,
  secure: boolean | undefined,
  first: Presented,
  report: (error: unknown) => void,
): Promise<Lookup | undefined> {
  const deadline = store.deadline()
  let tried: string[] | undefined
  let result: Lookup | undefined
  let next: Presented | undefined = first
  for (let nth = 1; next?.id !== undefined; nth++) {
    const { id, secure: answer } = next
    next = nth < attempts ? transport.present(req, secure, next) : undefined
    if (tried?.includes(id)) continue
    const key = options.keyOf(id)
    try {
      const state = await store.read(key, deadline)
      if (isLive(state)) {
        if (!next || canOpen(options.codec, state)) return { id, key, secure: answer, state }
        report(undecodable())
      } else if (state?.kind === 'tombstone') {
        if (!result?.state) result = { id, key, secure: answer, state }
      } else if (state && (state.kind !== 'over' || !canOpen(options.codec, state))) report(undecodable())
      else store.event('rejected', key)
    } catch (error) {
      if (!isSessionError(error)) throw error
      return { id, key, secure: answer, error }
    }
    result ??= { id, key, secure: answer }
    tried ??= []
    tried.push(id)
  }
  return result
}

/** Whether the record can be decoded. Decoding it only when the app opens the session would be too late to try another value. */
function canOpen(codec: GuardedCodec, state: Pick<Live, 'texts'>): boolean {
  try {
    const { data, flash } = state.texts()
    codec.decodeData(data)
    messages(codec, flash)
    return true
  } catch (error) {
    if (isSessionError(error)) return false
    throw error
  }
}
