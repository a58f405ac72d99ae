import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ServerKind, sharedServer } from '@koa-session/test-servers'

/** The backends of sessions. */
export type Storage = 'memory' | 'file' | 'sqlite' | ServerKind

export interface Place {
  readonly url: string
  readonly folder: string
}

export const isDatabase = (storage: string): storage is ServerKind =>
  storage === 'redis' || storage === 'postgres' || storage === 'mysql' || storage === 'mongo'

let folder: Promise<string> | undefined

/** Starts the server of this storage and returns its place. `undefined`: there is no such server, and a message said so. */
export async function placeOf(storage: string): Promise<Place | undefined> {
  folder ??= mkdtemp(join(tmpdir(), 'koa-session-bench-'))
  if (!isDatabase(storage)) return { url: '', folder: await folder }
  const server = await sharedServer(storage)
  if (server === undefined) return undefined
  // The path of the program is this machine's business.
  const label = 'label' in server ? String(server.label).replace(/ \(.*$/, '') : 'the one of the environment'
  used.set(storage, label)
  return { url: server.url, folder: await folder }
}

const used = new Map<string, string>()

/** Which programs of which versions served so far; empty: none. */
export const serversUsed = (): string => [...used].map(([storage, label]) => `${storage}: ${label}`).join(', ')

export async function removeFolder(): Promise<void> {
  if (folder) await rm(await folder, { recursive: true, force: true })
}

/** The environment of a child that uses this place. */
export const environmentOf = ({ url, folder }: Place): NodeJS.ProcessEnv => ({ BENCH_URL: url, BENCH_FOLDER: folder })
