import type { MongoCollection, Work } from './collection.js'

/** Undocumented members of the driver's client, absent once it is closed. */
interface Client {
  readonly topology?: unknown
  connect?(): Promise<unknown>
}

/**
 * Runs `work`, which must be safe to run twice. A client that found no server at its first attempt refuses every later
 * command until somebody connects it. One that the app has closed stays closed.
 */
export async function reconnecting<T>(
  client: unknown,
  collection: MongoCollection,
  signal: AbortSignal | undefined,
  work: Work<T>,
): Promise<T> {
  try {
    return await work(collection, signal)
  } catch (error) {
    const { topology, connect } = Object(client) as Client
    if (!connect || !topology || Object(error).name !== 'MongoTopologyClosedError') throw error
    await connect.call(client)
    return work(collection, signal)
  }
}
