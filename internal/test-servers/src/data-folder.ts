import { accessSync, constants, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'

/** Room for the data of all servers of a run. */
const least = 4 * 1024 ** 3
const memory = '/dev/shm'

/**
 * Where servers keep their data: the folder that `TEST_SERVERS_FOLDER` names, else in memory, where there is room, because a server
 * flushes what it acknowledges. What is there outlives a killed server as on a disk.
 */
export function dataFolder(): string {
  const { TEST_SERVERS_FOLDER: named } = process.env
  if (named) return named
  try {
    accessSync(memory, constants.W_OK)
    const { bavail, bsize } = statfsSync(memory)
    return bavail * bsize >= least ? memory : tmpdir()
  } catch {
    return tmpdir()
  }
}
