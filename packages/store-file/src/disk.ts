import * as fs from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'

// By callbacks and numeric descriptors: those of node:fs/promises cost twice the processor time.
export const access: (path: string) => Promise<void> = promisify(fs.access)
export const open = promisify(fs.open)
export const close = promisify(fs.close)
export const read = promisify(fs.read)
export const fstat = promisify(fs.fstat)
export const mkdir = promisify(fs.mkdir)
export const readdir: (path: string) => Promise<string[]> = promisify(fs.readdir)
export const rename = promisify(fs.rename)
export const rmdir = promisify(fs.rmdir)
export const unlink = promisify(fs.unlink)
const fsync = promisify(fs.fsync)
const write = promisify(fs.write)

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

/** Waits for all of `work`, even if one rejects, so that nothing goes on behind the back of the caller. */
export async function all(...work: Promise<unknown>[]): Promise<void> {
  for (const outcome of await Promise.allSettled(work)) if (outcome.status === 'rejected') throw outcome.reason
}

/** Make the entries of a directory durable. A missing directory needs nothing. */
export async function sync(directory: string): Promise<void> {
  let descriptor: number
  try {
    descriptor = await open(directory, 'r')
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return
    throw error
  }
  try {
    await fsync(descriptor)
  } finally {
    await close(descriptor)
  }
}

/** Create a file that must not exist yet. */
export async function makeEmptyFile(path: string): Promise<void> {
  await close(await open(path, 'wx', 0o600))
}

/** Write all of `content` to a new file, make it durable, and close it. */
export async function finish(descriptor: number, content: Buffer): Promise<void> {
  try {
    for (let at = 0; at < content.length; ) {
      at += (await write(descriptor, content, at, content.length - at, at)).bytesWritten
    }
    await fsync(descriptor)
  } finally {
    await close(descriptor)
  }
}

/** Create `path` and its missing parents, and make them durable below `root`. */
export async function makeDirectory(path: string, root: string): Promise<void> {
  const made = (await mkdir(path, { recursive: true, mode: 0o700 })) as string | undefined
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
  process.emitWarning(`Session file skipped, ${reason}: ${path}`, { code: 'KOA_SESSION_FILE_SKIPPED' })
}
