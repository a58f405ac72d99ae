import { open } from './open.js'

/** Opens a store on the shared server, also in processes that a test starts. */
export const create = (world: string) => open(process.env.MONGODB_URL ?? '', world)
