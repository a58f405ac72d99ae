import { mkdir, open, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'

export function hasCode(error: unknown, ...codes: string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException).code ?? '')
}

/** Whether `work` succeeded. `false` on an error with one of `codes`; any other error is thrown. */
export async function succeeds(work: Promise<unknown>, ...codes: string[]): Promise<boolean> {
  try {
    await work
    return true
  } catch (error) {
    if (hasCode(error, ...codes)) return false
    throw error
  }
}

/** Make the entries of a directory durable. A missing directory needs nothing. */
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

/** Create `path` and its missing parents, and make them durable below `root`. */
export async function makeDirectory(path: string, root: string): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: 0o700 })
  const top = dirname(made !== undefined && made.length < root.length ? made : root)
  for (let parent = dirname(path); parent !== top; parent = dirname(parent)) await sync(parent)
  // An existing directory is not ours, and we may lack the rights to it.
  if (made !== undefined && made.length <= root.length) await sync(top).catch(() => {})
}

/** Remove an unreferenced file. If that fails, the next sweep removes it. */
export async function discard(path: string): Promise<void> {
  await unlink(path).catch(() => {})
}

const skipped = new Set<string>()

/** Warn of a file whose content does not match its name, once per process and file. */
export function reportSkipped(path: string, reason: string): void {
  if (skipped.has(path)) return
  skipped.add(path)
  process.emitWarning(`fileStore: skipped ${path}, which is ${reason}`, { code: 'KOA_SESSION_FILE_SKIPPED' })
}
