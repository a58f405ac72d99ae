import type { IncomingMessage } from 'node:http'
import { isKey, sha256 } from './id.js'
import { lookUp } from './lookup.js'
import { isLive } from './record.js'
import type { Runtime } from './runtime.js'
import { assign, type Session, type SessionData } from './session.js'
import type { EnumerableStore, StoreCall } from './store.js'
import type { Sweeper } from './sweeper.js'
import { Visit } from './visit.js'

/** One session of a subject, as a device list shows it. Times are epoch milliseconds. */
export interface SessionInfo {
  readonly key: string
  readonly data: SessionData
  readonly createdAt: number
  readonly seenAt: number
  readonly expiresAt: number
}

export interface Admin {
  /** Make a session outside of a request. `cookie` is a `Cookie` header value under every name the id may be read by. */
  create(data: SessionData): Promise<{ id: string; key: string; cookie: string }>
  /**
   * The session of a request that Koa does not handle, such as a WebSocket upgrade; `undefined` when there is none. It is
   * not touched, `save()` keeps changes, and its id cannot change.
   */
  open(req: IncomingMessage): Promise<Session | undefined>
  /** The live sessions of a subject. Rejects with a `TypeError` without `subject` or on a store that cannot list. */
  list(subject: string): AsyncIterable<SessionInfo>
  /** End the session under `key`, wherever it went meanwhile. */
  revoke(key: string): Promise<void>
  /**
   * End all sessions of a subject but the one under `except`. Resolves to how many. Rejects with a `TypeError` without
   * `subject` or on a store that cannot list.
   */
  revokeAll(subject: string, options?: { readonly except?: string }): Promise<number>
  /** Delete now what expired an hour ago or earlier. Resolves to how many went. */
  sweep(): Promise<number>
  /** Stop sweeping and close the store. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

export function admin(runtime: Runtime, sweeper: Sweeper): Admin {
  const { codec, options, sessions, store } = runtime

  const close = async (): Promise<void> => {
    sweeper.stop()
    await options.store.close()
  }

  /** The keys of a subject's live sessions, each bounded by `storeTimeout`. */
  async function* keysOf(subject: string): AsyncGenerator<string> {
    if (!options.subjectOf) throw new TypeError('list and revokeAll need the option subject')
    if (!('keys' in options.store)) throw new TypeError(`store ${options.store.name} cannot list sessions`)
    if (typeof subject !== 'string') throw new TypeError(`subject must be a string, got ${typeof subject}`)
    const abort = new AbortController()
    const { signal } = abort
    let step: StoreCall | undefined
    const keys = (options.store as EnumerableStore)
      .keys({
        subject: sha256(subject),
        get signal() {
          // A look at it is a step of the call under way.
          return step?.signal ? signal : abort.signal
        },
      })
      [Symbol.asyncIterator]()
    let failed = false
    try {
      for (;;) {
        const { done, value } = await store.call('keys', undefined, store.deadline(), call => {
          step = call
          return keys.next()
        })
        if (done) return
        yield value
      }
    } catch (error) {
      failed = true
      abort.abort(error)
      throw error
    } finally {
      const returned = Promise.resolve(keys.return?.()).catch(() => {})
      // After a failure it may wait behind a call that never ends.
      if (!failed) await returned
    }
  }

  return {
    async create(data) {
      if (typeof data !== 'object' || data === null || Array.isArray(data)) {
        throw new TypeError(
          `create(data): data must be an object, got ${Array.isArray(data) ? 'an array' : typeof data}`,
        )
      }
      const visit = new Visit(runtime, undefined, true)
      assign(visit.session, data)
      const { entry } = visit
      const { id, key } = entry
      // Unlike a request's, this one is stored also when it is empty: somebody asked for it.
      await sessions.write(entry.compose(key, entry.view()), null, store.deadline())
      store.event('created', key)
      return { id, key, cookie: options.transport.names.map(name => `${name}=${id}`).join('; ') }
    },

    async open(req) {
      const first = options.transport.present(req, undefined)
      const found = first && (await lookUp(runtime, req, undefined, first, error => runtime.report(error)))
      if (found?.error) throw found.error
      if (!found?.state || !isLive(found.state)) return undefined
      const visit = new Visit(runtime)
      visit.resume(found.id, found.state)
      const { session, entry } = visit
      return entry.known ? (session as Session) : undefined
    },

    async *list(subject) {
      for await (const key of keysOf(subject)) {
        const found = await store.read(key, store.deadline())
        // It may have become somebody else's since it was found.
        if (!isLive(found) || found.record.subject !== sha256(subject)) continue
        const { createdAt, record } = found
        let data: SessionData
        try {
          data = codec.decodeData(found.texts().data) as SessionData
        } catch (error) {
          // One session that cannot be decoded must not hide the others.
          runtime.report(error)
          continue
        }
        yield { key, data, createdAt, seenAt: record.seenAt, expiresAt: record.expiresAt }
      }
    },

    async revoke(key) {
      // The value is not shown: it may be an id.
      if (!isKey(key)) throw new TypeError('revoke(key): key must be 64 lower-case hex characters')
      await sessions.end(key, undefined, store.deadline())
    },

    async revokeAll(subject, { except } = {}) {
      if (except !== undefined && !isKey(except)) {
        throw new TypeError('revokeAll(): except must be a key, 64 lower-case hex characters')
      }
      let count = 0
      let found = 0
      // Again until nothing is found, and once more at least: a session that changed its id meanwhile may have been passed
      // over under both.
      for (let pass = 0; pass < 2 || found > 0; pass++) {
        found = 0
        for await (const key of keysOf(subject)) {
          if (key !== except && (await sessions.end(key, undefined, store.deadline())).session) found++
        }
        count += found
      }
      return count
    },

    sweep: () => sweeper.sweep(),
    close,
    [Symbol.asyncDispose]: close,
  }
}
