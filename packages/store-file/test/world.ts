import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileStore } from 'koa-session-store-file'

/** The directory that all processes of one test run share; the test that makes it hands it down. */
const root = process.env.FILE_STORE_WORLDS ?? tmpdir()

export const create = (world: string) => fileStore({ directory: join(root, world) })
