import type { DraftSettings } from './draft.js'
import { GuardedStore, type StoreSettings } from './guarded-store.js'
import { Revocations } from './revocation.js'
import { StoredSessions } from './stored-sessions.js'

export interface EngineOptions extends DraftSettings, StoreSettings {
  readonly maxSessionsPerSubject: number
}

/** The parts that all requests of one `session()` share. */
export class Engine {
  readonly options: EngineOptions
  readonly store: GuardedStore
  readonly sessions: StoredSessions
  readonly revocations: Revocations

  constructor(options: EngineOptions) {
    this.options = options
    this.store = new GuardedStore(options)
    this.sessions = new StoredSessions(this.store)
    this.revocations = new Revocations(this.store, this.sessions)
  }
}
