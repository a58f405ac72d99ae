import { discard, hasCode, makeEmptyFile, mkdir, rmdir } from './disk.js'

/*
 * sessions/due/<span>/<key>    an empty file for each session, in the five minutes in which it was to expire when it was made
 *
 * A hint for sweeps, which need not look at sessions that cannot have expired. Where a session lives longer, its entry follows
 * when it is due. Where an entry is missing (it is never flushed), a sweep that looks at everything finds the session.
 */

const span = 300_000

export const spanOf = (expiresAt: number): number => Math.floor(expiresAt / span)

export const dueFolderOf = (directory: string, expiresAt: number): string => `${directory}/due/${spanOf(expiresAt)}`

/** `false` if the disk fails. */
export async function addDue(directory: string, key: string, expiresAt: number): Promise<boolean> {
  const folder = dueFolderOf(directory, expiresAt)
  try {
    for (;;) {
      const error = await makeEmptyFile(`${folder}/${key}`).catch(error => error)
      if (error === undefined || hasCode(error, 'EEXIST')) return true
      if (!hasCode(error, 'ENOENT')) return false
      await mkdir(folder, { recursive: true, mode: 0o700 })
    }
  } catch {
    return false
  }
}

export async function removeDue(directory: string, key: string, expiresAt: number): Promise<void> {
  const folder = dueFolderOf(directory, expiresAt)
  await discard(`${folder}/${key}`)
  await rmdir(folder).catch(() => {})
}
