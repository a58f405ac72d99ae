import { accessSync, constants } from 'node:fs'
import { tmpdir } from 'node:os'

/** A folder for temporary files that are in memory, where that can be had: flushing them to a disk takes long. */
export function inMemory(): string {
  try {
    accessSync('/dev/shm', constants.W_OK)
    return '/dev/shm'
  } catch {
    return tmpdir()
  }
}
