import type { SessionRecord, StoreCall } from 'koa-session-core'
import { newKey, newRecord, type TestedStore, timesOf } from './tested-store.js'

type Call = (store: TestedStore, key: string, record: SessionRecord, call: StoreCall) => Promise<unknown>

/** Every kind of call, on a session that is there. */
export const calls: Record<string, Call> = {
  read: (store, key, _, call) => store.read(key, call),
  'write of a new session': (store, _, record, call) => store.write(newKey(), newRecord({ ...record }), null, call),
  write: (store, key, record, call) => store.write(key, newRecord({ ...record }), record.version, call),
  touch: (store, key, record, call) => store.touch(key, timesOf(record), record.version, call),
  destroy: (store, key, _, call) => store.destroy(key, call),
  sweep: async (store, _key, _record, call) => (store.sweep ? store.sweep(call) : store.read(newKey(), call)),
  keys: (store, _key, _record, call) => listed(store, call),
  'keys of a subject': (store, _, { subject }, call) => listed(store, { ...call, subject: subject as string }),
}

async function listed(store: TestedStore, call: StoreCall & { subject?: string }): Promise<string[]> {
  const found: string[] = []
  for await (const key of store.keys(call)) found.push(key)
  return found
}
