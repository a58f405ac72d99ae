import { mkdir, open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'

export function hasCode(error: unknown, ...codes: string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException).code ?? '')
}

/** Whether `work` was done. One of `codes` means that it was not; any other error is thrown. */
export async function succeeds(work: Promise<unknown>, ...codes: string[]): Promise<boolean> {
  try {
    await work
    return true
  } catch (error) {
    if (hasCode(error, ...codes)) return false
    throw error
  }
}

/** Make the entries of a directory durable. One that is gone needs nothing. */
export async function sync(directory: string): Promise<void> {
  let handle: Awaited<ReturnType<typeof open>>
  try {
    handle = await open(directory)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return
    throw error
  }
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Make `path` and the directories above it, as far as they are missing, and make that durable down from `root`. */
export async function makeDirectory(path: string, root: string): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: 0o700 })
  const top = dirname(made !== undefined && made.length < root.length ? made : root)
  for (let parent = dirname(path); parent !== top; parent = dirname(parent)) await sync(parent)
  // The one that was there before is not ours, and may be closed to us.
  if (made !== undefined && made.length <= root.length) await sync(top).catch(() => {})
}

/** Remove a file nobody refers to. What cannot be removed now is left to the next sweep. */
export async function discard(path: string): Promise<void> {
  await unlink(path).catch(() => {})
}

const skipped = new Set<string>()

/** Report a file that is not what its name says, once per process and file. */
export function reportSkipped(path: string, reason: string): void {
  if (skipped.has(path)) return
  skipped.add(path)
  process.emitWarning(`Session file skipped, ${reason}: ${path}`, { code: 'KOA_SESSION_FILE_SKIPPED' })
}
