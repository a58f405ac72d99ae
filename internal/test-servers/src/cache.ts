import { randomUUID } from 'node:crypto'
import { link, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive } from './processes.js'

/** Prepared data folders and the stand-ins for MongoDB, kept between runs. */
export const cacheFolder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'koa-session-test-servers')

/** No task under a lock takes this long. An older lock was left by a dead process whose id is used again. */
const longest = 15 * 60_000

async function isAbandoned(file: string): Promise<boolean> {
  try {
    const [owner, { mtimeMs }] = await Promise.all([readFile(file, 'utf8'), stat(file)])
    return !isAlive(Number(owner)) || Date.now() - mtimeMs > longest
  } catch {
    return false
  }
}

/** One at a time across processes. A lock whose owner died is taken over. */
export async function withLock<T>(name: string, task: () => Promise<T>): Promise<T> {
  await mkdir(cacheFolder, { recursive: true, mode: 0o700 })
  const file = join(cacheFolder, `${name}.lock`)
  const mine = `${file}.${randomUUID()}`
  await writeFile(mine, String(process.pid))
  try {
    for (;;) {
      try {
        // Unlike a file that is created and then written, a link appears with its content.
        await link(mine, file)
        break
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
      if (await isAbandoned(file)) await discard(file)
      else await sleep(100)
    }
  } finally {
    await rm(mine, { force: true })
  }
  try {
    return await task()
  } finally {
    await rm(file, { force: true })
  }
}

/** Takes an abandoned lock away; puts it back if somebody else had just replaced it by a living one. */
async function discard(file: string): Promise<void> {
  const aside = `${file}.${randomUUID()}`
  try {
    await rename(file, aside)
  } catch {
    return
  }
  if (!(await isAbandoned(aside))) await link(aside, file).catch(() => {})
  await rm(aside, { force: true })
}
