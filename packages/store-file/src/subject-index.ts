import type { StoreCall } from 'koa-session-core'
import {
  access,
  all,
  discard,
  hasCode,
  makeDirectory,
  makeEmptyFile,
  mkdir,
  readdir,
  rmdir,
  succeeds,
  sync,
} from './disk.js'
import { isShardName, namesIn } from './layout.js'

/*
 * sessions/subjects/0f/<subject>/<key>.<listed>    an empty file for each session of the subject
 * sessions/subjects/complete                       no session of a subject is without its file
 *
 * The file is on the disk before a tag names it, and `listed` is random. So a file that the present tag does not name is
 * named by no later one, except by that of the writer who made it: a file that nobody knows of any more does no harm.
 */

interface Entry {
  readonly key: string
  readonly subject: string
  readonly listed: string
}

/** Directories that had no session in them when this process began to write there: all get their files. */
const begunEmpty = new Set<string>()
const prepared = new Set<string>()
const entryName = /^([0-9a-f]{64})\.[0-9a-f]{16}$/

/** Call before the first shard is made. */
export async function lookForSessions(directory: string): Promise<void> {
  const names = await readdir(directory).catch(error => (hasCode(error, 'ENOENT') ? [] : undefined))
  if (names && !names.some(isShardName)) begunEmpty.add(directory)
}

/** List the session under its subject, by an entry that `listed` names. When this resolves, the entry is on the disk. */
export async function addEntry(directory: string, entry: Entry): Promise<void> {
  const [shard, folder] = pathsOf(directory, entry.subject)
  for (;;) {
    if (!prepared.has(shard)) await makeDirectory(shard, directory)
    prepared.add(shard)
    await succeeds(mkdir(folder, { mode: 0o700 }), 'EEXIST', 'ENOENT')
    // ENOENT: the folder was removed because it was empty, or everything was removed.
    if (await succeeds(makeEmptyFile(fileOf(folder, entry)), 'ENOENT')) break
    prepared.delete(shard)
  }
  if (begunEmpty.delete(directory)) await markComplete(directory)
  await all(sync(folder), sync(shard))
}

export async function hasEntry(directory: string, entry: Entry): Promise<boolean> {
  return succeeds(access(fileOf(pathsOf(directory, entry.subject)[1], entry)), 'ENOENT')
}

/** Remove an entry, and the folder if that was the last one. */
export async function removeEntry(directory: string, entry: Entry): Promise<void> {
  const [, folder] = pathsOf(directory, entry.subject)
  await discard(fileOf(folder, entry))
  await rmdir(folder).catch(() => {})
}

/** Note that every session of a subject is listed. */
export async function markComplete(directory: string): Promise<void> {
  await makeEmptyFile(markOf(directory)).catch(() => {})
}

export const isComplete = (directory: string): Promise<boolean> => succeeds(access(markOf(directory)), 'ENOENT')

/** The keys of the sessions that may be the subject's, a few at a time. One may come twice. */
export async function* keysListed(directory: string, subject: string, call?: StoreCall): AsyncGenerator<string[]> {
  for await (const entries of namesIn(pathsOf(directory, subject)[1], call)) {
    yield entries.map(({ name }) => entryName.exec(name)?.[1]).filter(key => key !== undefined)
  }
}

const markOf = (directory: string): string => `${directory}/subjects/complete`
const fileOf = (folder: string, { key, listed }: Entry): string => `${folder}/${key}.${listed}`

function pathsOf(directory: string, subject: string): [shard: string, folder: string] {
  if (!/^[0-9a-f]{64}$/.test(subject)) throw new TypeError('a subject must be 64 lower-case hex characters')
  const shard = `${directory}/subjects/${subject.slice(0, 2)}`
  return [shard, `${shard}/${subject}`]
}
