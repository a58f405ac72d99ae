export { type Codec, jsonCodec } from './codec.js'
export { isSessionError, SessionError, type SessionErrorCode } from './errors.js'
export { type MemoryStoreOptions, memoryStore } from './memory-store.js'
export type { EnumerableStore, SessionRecord, Store, StoreCall, SweepableStore } from './store.js'
