import { inMemory } from './in-memory.js'

/** Room for the data of all servers of a run, in bytes. */
const room = 4 * 1024 ** 3

/**
 * Where servers keep their data: the folder that `TEST_SERVERS_FOLDER` names, else in memory, where there is room, because a server
 * flushes what it acknowledges. What is there outlives a killed server as on a disk.
 */
export const dataFolder = (): string => process.env.TEST_SERVERS_FOLDER || inMemory(room)
