import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { hasCode, makeEmptyFile, mkdir, readdir, rename, reportSkipped, rmdir, succeeds, unlink } from './disk.js'
import { parseTag, type Tag } from './tag.js'

/*
 * A session has a folder, which holds one tag and nothing else. Two facts about the kernel make this an atomic cell:
 * a rename or unlink of the tag succeeds for one caller only, because names never come back, and a folder is put in
 * place, or removed, only where there is none or an empty one. So there is never a second tag, and no way to leave a
 * state but from that very state.
 */

export interface Listing {
  /** The state of the session, if there is one. */
  readonly tag: Tag | undefined
  /** Foreign files are in the folder and no tag: nothing can be kept here. */
  readonly blocked?: boolean
}

/** Read the folder of `key`. */
export async function listFolder(folder: string, key: string): Promise<Listing> {
  // Listings need not be atomic, so list again if the result looks inconsistent.
  for (let look = 1; ; ) {
    const names = await namesIn(folder)
    if (names === undefined) return { tag: undefined }
    if (names === 'no directory') return skip(folder, 'not a directory')
    const tags = names.map(name => parseTag(key, name)).filter(tag => tag !== undefined)
    if (tags.length === 1) return { tag: tags[0] }
    if (tags.length === 0) {
      // A listing may miss a tag that is just being renamed. Only the kernel's rmdir can tell that a folder is empty.
      const removed = await removeFolder(folder)
      if (removed === 'no directory') return skip(folder, 'a symbolic link')
      if (removed) return { tag: undefined }
    }
    if (names.length > 0 && look++ === 3) return { ...skip(folder, 'holding foreign files'), blocked: true }
  }
}

/** Put a complete new folder with this tag in place. `false`: another folder exists. */
export async function publishFolder(folder: string, tag: Tag): Promise<boolean> {
  const temporary = `${dirname(folder)}/new.${tag.attempt}`
  try {
    await mkdir(temporary, { mode: 0o700 })
    await makeEmptyFile(`${temporary}/${tag.name}`)
    await rename(temporary, folder)
    return true
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {})
    // ENOENT: a sweeper took the unfinished folder for a dead process's, or the shard is not there.
    if (hasCode(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT')) return false
    // A file of that name is no session. Unlinking it cannot harm one either: it fails on a directory.
    if (hasCode(error, 'ENOTDIR')) {
      await succeeds(unlink(folder), 'ENOENT', 'EISDIR')
      return false
    }
    throw error
  }
}

/** Replace the tag by another. `false`: the tag is gone. */
export const moveTag = (folder: string, from: Tag, to: Tag): Promise<boolean> =>
  succeeds(rename(`${folder}/${from.name}`, `${folder}/${to.name}`), 'ENOENT')

/** Remove the tag. `false`: the tag is gone. */
export const removeTag = (folder: string, tag: Tag): Promise<boolean> =>
  succeeds(unlink(`${folder}/${tag.name}`), 'ENOENT')

/** Remove the folder. `false`: it is not empty. */
export async function removeFolder(folder: string): Promise<boolean | 'no directory'> {
  try {
    await rmdir(folder)
    return true
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return true
    if (hasCode(error, 'ENOTDIR')) return 'no directory'
    if (hasCode(error, 'ENOTEMPTY', 'EEXIST')) return false
    throw error
  }
}

async function namesIn(folder: string): Promise<string[] | 'no directory' | undefined> {
  try {
    return await readdir(folder)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    if (hasCode(error, 'ENOTDIR', 'ELOOP')) return 'no directory'
    throw error
  }
}

function skip(folder: string, reason: string): Listing {
  reportSkipped(folder, reason)
  return { tag: undefined }
}
