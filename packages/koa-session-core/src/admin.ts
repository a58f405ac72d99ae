import type { IncomingMessage } from 'node:http'
import { hasProperties, kindOf, OptionCheck } from './check.js'
import type { IdTransport } from './cookie.js'
import { destroy } from './destroy.js'
import type { Engine } from './engine.js'
import { isKey, sha256 } from './id.js'
import { keysOf } from './listing.js'
import { lookUp } from './lookup.js'
import { newSession } from './new-session.js'
import { isLive, type Stored } from './record.js'
import { type RequestOptions, RequestSession } from './request-session.js'
import { isLater, longestSilence } from './revocation.js'
import type { Session, SessionData } from './session.js'
import { limitSessions } from './session-limit.js'
import type { Sweeper } from './sweeper.js'

/** One session of a subject, as a device list shows it. Times are epoch milliseconds. */
export interface SessionInfo {
  readonly key: string
  readonly data: SessionData
  readonly createdAt: number
  readonly seenAt: number
  readonly expiresAt: number
}

export interface Admin {
  /** Create a session outside of a request. `cookie` is a `Cookie` header value with every name that the id may be read under. */
  create(data: SessionData): Promise<{ id: string; key: string; cookie: string }>
  /**
   * Load the session of a request that Koa does not handle, such as a WebSocket upgrade; `undefined` if there is none. The
   * session is not touched, `save()` stores changes, and its id cannot change.
   */
  open(req: IncomingMessage): Promise<Session | undefined>
  /** The live sessions of a subject. Rejects with a `TypeError` without `subject` or on a store that cannot list. */
  list(subject: string): AsyncIterable<SessionInfo>
  /**
   * Destroy the session under `key`, even if it rotates meanwhile; with `subject`, only a session of that subject. Resolves to
   * whether a session was destroyed.
   */
  revoke(key: string, options?: { readonly subject?: string }): Promise<boolean>
  /**
   * Destroy every session of a subject that exists at the time of the call, even if it rotates meanwhile, except the one under
   * the key `except`. Resolves to the number of destroyed sessions. Rejects with a `TypeError` without the option `subject` or
   * on a store that cannot list.
   */
  revokeAll(subject: string, options?: { readonly except?: string }): Promise<number>
  /** Delete the sessions that expired an hour ago or earlier. Resolves to their number. */
  sweep(): Promise<number>
  /** Stop sweeping and close the store. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export function admin(
  engine: Engine,
  requests: RequestOptions,
  transport: IdTransport,
  sweeper: Sweeper,
  report: (error: unknown) => void,
): Admin {
  const { options, revocations, sessions, store } = engine

  const close = async (): Promise<void> => {
    sweeper.stop()
    await options.store.close()
  }

  /** The hash of the subject. */
  const listed = (subject: unknown): string => {
    if (!options.subjectOf) throw new TypeError('list(subject) and revokeAll(subject) need the option subject')
    if (!('keys' in options.store))
      throw new TypeError(
        `list(subject) and revokeAll(subject) need a store with the method keys; store ${options.store.name} has none`,
      )
    return hashOf(subject)
  }

  return {
    async create(data) {
      if (!hasProperties(data)) throw new TypeError(`create(data): data must be an object, got ${kindOf(data)}`)
      // Unlike a request's, this one is stored even if it is empty: somebody asked for it.
      const { id, state } = newSession(engine, requests, report, data)
      const { key } = state
      await sessions.write(state, null, store.deadline())
      store.event('created', key)
      await limitSessions(engine, state, store.deadline()).catch(report)
      return { id, key, cookie: transport.names.map(name => `${name}=${id}`).join('; ') }
    },

    async open(req) {
      const first = transport.present(req, undefined)
      const found = first && (await lookUp(engine, transport, req, undefined, first, report))
      if (found?.error) throw found.error
      if (!found?.state || !isLive(found.state)) return undefined
      const request = new RequestSession(engine, requests, report)
      request.resume(found.id, found.state)
      const { session, draft } = request
      return draft.known ? (session as Session) : undefined
    },

    async *list(subject) {
      const hash = listed(subject)
      for await (const key of keysOf(store, hash)) {
        const found = await store.read(key, store.deadline())
        // It may have become somebody else's since it was found.
        if (!isLive(found) || found.record.subject !== hash) continue
        const { createdAt, record } = found
        let data: SessionData
        try {
          data = options.codec.decodeData(found.texts().data) as SessionData
        } catch (error) {
          // One session that cannot be decoded must not hide the others.
          report(error)
          continue
        }
        yield { key, data, createdAt, seenAt: record.seenAt, expiresAt: record.expiresAt }
      }
    },

    async revoke(key, revoked = {}) {
      checkOptions('revoke()', revoked, 'subject')
      // The message does not show the value, which may be an id.
      if (!isKey(key)) throw new TypeError('revoke(key): key must be 64 lower-case hex characters')
      // `{ subject: undefined }` goes on to be refused: nobody is signed in there.
      if (!('subject' in revoked)) return (await destroy(engine, key, { deadline: store.deadline() })).ended
      if (!options.subjectOf) throw new TypeError('revoke(key, { subject }) needs the option subject of session()')
      const hash = hashOf(revoked.subject)
      const isTheirs = ({ record }: Stored) => record.subject === hash
      return (await destroy(engine, key, { deadline: store.deadline(), mayDestroy: isTheirs })).ended
    },

    async revokeAll(subject, revoked = {}) {
      checkOptions('revokeAll()', revoked, 'except')
      const { except } = revoked
      if (except !== undefined && !isKey(except)) {
        throw new TypeError('revokeAll(): except must be a key, 64 lower-case hex characters')
      }
      const hash = listed(subject)
      const call = await revocations.begin(hash, except)
      let spares: readonly string[] = []
      const isMeant = (found: Stored) => {
        const isNew = 'createdAt' in found && isLater(found.createdAt, call)
        return found.record.subject === hash && !isNew && !spares.includes(found.key)
      }
      let count = 0
      let heardAt = call.at
      try {
        // Two passes, because a session may have been rotating when the call began.
        for (let pass = 0; pass < 2; pass++) {
          for await (const key of keysOf(store, hash)) {
            if (except !== undefined) spares = await revocations.spares(hash, call)
            if (!spares.includes(key)) {
              const { session } = await destroy(engine, key, { deadline: store.deadline(), mayDestroy: isMeant })
              if (session) count++
            }
            if (Date.now() < heardAt + longestSilence / 4) continue
            heardAt = Date.now()
            await revocations.renew(hash, call)
          }
        }
      } catch (error) {
        // The store may be down: the caller must not wait for it twice.
        revocations.end(hash, call).catch(() => {})
        throw error
      }
      await revocations.end(hash, call)
      return count
    },

    sweep: () => sweeper.sweep(),
    close,
    [Symbol.asyncDispose]: close,
  }
}

function checkOptions(name: string, options: object, ...known: string[]): void {
  if (!hasProperties(options)) throw new TypeError(`${name}: options must be an object, got ${kindOf(options)}`)
  const check = new OptionCheck(name)
  check.names(options, { known })
  check.end()
}

/** The message does not show the value, which may be a person's name. */
function hashOf(subject: unknown): string {
  if (typeof subject === 'string') return sha256(subject)
  throw new TypeError(`subject must be a string, got ${kindOf(subject)}`)
}
