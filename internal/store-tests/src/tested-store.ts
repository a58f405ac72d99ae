import { randomBytes } from 'node:crypto'
import type { EnumerableStore, SessionRecord, SweepableStore } from 'koa-session-core'

export type TestedStore = EnumerableStore & Partial<Pick<SweepableStore, 'sweep'>>

/** Opens a store on a client of its own. The same `world`, a prefix or a table, means the same data. */
export type OpenStore = (url: string, world: string) => TestedStore

/** A test for any runner. */
export interface StoreCase {
  readonly title: string
  /** No other case may run at the same time, such as where it stops the server itself. */
  readonly isAlone?: boolean
  run(): Promise<void>
}

const hex = (bytes: number): string => randomBytes(bytes).toString('hex')

export const newKey = (): string => hex(32)
export const newWorld = (): string => `w${hex(8).slice(1)}`

/** A record that outlives any case. */
export function newRecord(fields: Partial<SessionRecord> = {}): SessionRecord {
  const now = Date.now()
  return { data: `{"n":"${hex(4)}"}`, expiresAt: now + 600_000, seenAt: now, version: hex(12), ...fields }
}

export const timesOf = ({ expiresAt }: SessionRecord) => ({ seenAt: 7, expiresAt: expiresAt + 7 })
