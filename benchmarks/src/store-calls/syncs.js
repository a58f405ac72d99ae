import fs from 'node:fs'
import { open } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

/**
 * Counts the calls of fsync in this process from now on, those of file handles and those of descriptors. Await it before a
 * module is loaded that could keep the uncounted functions. The result gives how many there were.
 */
export async function countSyncs() {
  let count = 0
  const counted = original =>
    function (...args) {
      count++
      return original.apply(this, args)
    }
  for (const name of ['fsync', 'fdatasync', 'fsyncSync', 'fdatasyncSync']) fs[name] = counted(fs[name])
  syncBuiltinESMExports()
  const handle = await open(import.meta.filename)
  const prototype = Object.getPrototypeOf(handle)
  for (const name of ['sync', 'datasync']) prototype[name] = counted(prototype[name])
  await handle.close()
  return () => count
}
