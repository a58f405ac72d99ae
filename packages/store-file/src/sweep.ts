import { rm } from 'node:fs/promises'
import type { StoreCall } from 'koa-session-core'
import { sweepDelay, throwIfAborted } from 'koa-session-core/store'
import { discard, reportSkipped, rmdir } from './disk.js'
import { addDue, dueFolderOf, spanOf } from './due.js'
import { type Entry, entriesIn, folderName, namesIn } from './layout.js'
import { SessionCell } from './session-cell.js'
import { isSweepable } from './tag.js'

/** Remove expired sessions and the leftovers of dead processes in one shard. Resolves to the number of sessions. */
export async function sweepShard(directory: string, shard: string, call?: StoreCall): Promise<number> {
  let swept = 0
  const known = new Set<string>()
  const recordFiles: Entry[] = []

  const visit = async (entry: Entry): Promise<void> => {
    if (entry.attempt !== undefined) recordFiles.push(entry)
    // If the folder belongs to a live process, that process makes another one.
    else if (entry.key === undefined) await rm(entry.path, { recursive: true, force: true })
    else if (!entry.isDirectory) reportSkipped(entry.path, 'not a directory')
    else {
      const cell = new SessionCell(directory, entry.key)
      const { tag } = await cell.list()
      if (tag === undefined) return
      known.add(tag.attempt)
      if (!isSweepable(tag)) await cell.ensureListed(tag)
      else if ((await cell.end(tag)) && tag.version !== '') swept++
    }
  }

  for await (const entries of entriesIn(shard, call)) await Promise.all(entries.map(visit))
  for (const { path, key, attempt, previous } of recordFiles) {
    if (key === undefined || attempt === undefined || previous === undefined || known.has(attempt)) continue
    throwIfAborted(call)
    await new SessionCell(directory, key).removeLitter({ path, attempt, previous })
  }
  return swept
}

/** Remove the expired sessions that are known to be due. Resolves to the number of sessions. */
export async function sweepDue(directory: string, call?: StoreCall): Promise<number> {
  let swept = 0

  const visit = async (folder: string, key: string): Promise<void> => {
    if (!folderName.test(key)) return
    const cell = new SessionCell(directory, key)
    const { tag, blocked } = await cell.list()
    if (blocked) return
    if (tag && isSweepable(tag)) {
      if (!(await cell.end(tag))) return
      if (tag.version !== '') swept++
    } else if (tag) {
      // It lives longer than it was to: the entry follows.
      if (dueFolderOf(directory, tag.expiresAt) === folder) return
      if (!(await addDue(directory, key, tag.expiresAt))) return
    }
    await discard(`${folder}/${key}`)
  }

  const last = spanOf(Date.now() - sweepDelay)
  for await (const spans of namesIn(`${directory}/due`, call)) {
    for (const { name } of spans.filter(found => found.isDirectory() && Number(found.name) <= last)) {
      throwIfAborted(call)
      const folder = `${directory}/due/${name}`
      for await (const entries of namesIn(folder, call)) {
        await Promise.all(entries.map(entry => visit(folder, entry.name)))
      }
      await rmdir(folder).catch(() => {})
    }
  }
  return swept
}
