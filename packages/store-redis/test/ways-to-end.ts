import { newKey, newRecord } from '@koa-session/store-tests'
import type { SessionRecord, Store } from 'koa-session-core'

/** The calls after which a session is not its subject's any more, by what it then is. */
export const waysToEnd: Readonly<
  Record<string, (store: Store, key: string, record: SessionRecord) => Promise<unknown>>
> = {
  'is destroyed': (store, key) => store.destroy(key),
  'is ended on condition': (store, key, { version, subject }) =>
    store.write(key, newRecord({ expiresAt: 1, ...(subject && { subject }) }), version),
  'is ended on condition, without its subject': (store, key, { version }) =>
    store.write(key, newRecord({ expiresAt: 1 }), version),
  'becomes a tombstone': (store, key, { version }) => store.write(key, newRecord(), version),
  "becomes somebody else's": (store, key, { version }) => store.write(key, newRecord({ subject: newKey() }), version),
  'is touched to the past': (store, key, { version }) => store.touch(key, { seenAt: 1, expiresAt: 1 }, version),
}
