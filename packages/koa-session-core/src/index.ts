export { isSessionError, SessionError, type SessionErrorCode } from './errors.js'
export type { EnumerableStore, SessionRecord, Store, StoreCall, SweepableStore } from './store.js'
