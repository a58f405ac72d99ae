import type { Dirent } from 'node:fs'
import { opendir } from 'node:fs/promises'
import type { StoreCall } from 'koa-session-core'
import { throwIfAborted } from 'koa-session-core/store'
import { hasCode } from './disk.js'
import type { Tag } from './tag.js'

/*
 * sessions/0f/                                 one of 256 shards, by the first two characters of the key
 * sessions/0f/<key>/<tag>                      a session's folder; the name of the tag in it is the session's state
 * sessions/0f/<key>.<attempt>.<previous>       a record file: the data that the tag of that attempt refers to
 * sessions/0f/new.<attempt>/<tag>              a folder on its way to its place
 * sessions/subjects/                           the index of subject-index.ts
 * sessions/due/                                the hints of due.ts
 */

export interface Entry {
  readonly path: string
  readonly isDirectory: boolean
  readonly key?: string
  /** Only record files have them. */
  readonly attempt?: string
  readonly previous?: string
}

const entriesAtATime = 32
export const folderName = /^[0-9a-f]{64}$/
const newFolderName = /^new\.[0-9a-f]{16}$/
const recordFileName = /^([0-9a-f]{64})\.([0-9a-f]{16})\.([0-9a-f]{16})$/

export const shardNames: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'))

export const isShardName = (name: string): boolean => /^[0-9a-f]{2}$/.test(name)

export const shardOf = (directory: string, key: string): string => `${directory}/${key.slice(0, 2)}`

/** The paths of the session under `key`. Rejects anything but a key, which could lead out of the directory. */
export function folderOf(directory: string, key: string): string {
  if (!folderName.test(key)) throw new TypeError('the key of a session must be 64 lower-case hex characters')
  return `${shardOf(directory, key)}/${key}`
}

export const recordFileOf = (directory: string, key: string, tag: Tag): string =>
  `${shardOf(directory, key)}/${key}.${tag.attempt}.${tag.previous}`

/** The entries of a directory, a few at a time, so that a million neither fill memory nor block the event loop. */
export async function* namesIn(path: string, call?: StoreCall): AsyncGenerator<Dirent[]> {
  let entries: Dirent[] = []
  try {
    for await (const entry of await opendir(path, { bufferSize: entriesAtATime })) {
      entries.push(entry)
      if (entries.length < entriesAtATime) continue
      throwIfAborted(call)
      yield entries
      entries = []
    }
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
  }
  yield entries
}

/** The store's own entries of a shard. */
export async function* entriesIn(shard: string, call?: StoreCall): AsyncGenerator<Entry[]> {
  for await (const found of namesIn(shard, call)) {
    yield found.map(dirent => entryOf(shard, dirent.name, dirent.isDirectory())).filter(entry => entry !== undefined)
  }
}

/** `undefined` for foreign names. */
function entryOf(shard: string, name: string, isDirectory: boolean): Entry | undefined {
  const path = `${shard}/${name}`
  if (folderName.test(name)) return { path, isDirectory, key: name }
  if (newFolderName.test(name)) return { path, isDirectory }
  const [, key, attempt, previous] = recordFileName.exec(name) ?? []
  if (key && attempt && previous) return { path, isDirectory, key, attempt, previous }
  return undefined
}
