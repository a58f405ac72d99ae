import { Redis } from 'ioredis'

/** What the store needs of a client: ioredis' `Redis` (also with Sentinels) and its `Cluster` have it. */
export interface RedisClient {
  call(command: string, ...args: (string | number)[]): Promise<unknown>
  /** The nodes of a Cluster. */
  nodes?(role: 'master'): readonly Pick<RedisClient, 'call'>[]
  readonly options?: { readonly keyPrefix?: string | undefined }
}

/** A client that connects when it is first used, fails soon while the server is away, and comes back by itself. */
export function openClient(url: string): RedisClient & { close(): Promise<void> } {
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 2_000,
    // A server that takes commands and never answers: the connection is given up, and the next attempt finds out
    // whether it is back.
    socketTimeout: 2_000,
    // Also bounds the time a command waits for a connection.
    commandTimeout: 5_000,
    maxRetriesPerRequest: 1,
    retryStrategy: attempt => Math.min(attempt * 50, 500),
    // The master became a replica behind its name: the next connection leads to the new one.
    reconnectOnError: error => (error.message.includes('READONLY') ? 2 : false),
  })
  // Failures reach whoever called; without a listener an idle disconnect would be printed.
  client.on('error', () => {})

  return {
    async call(command, ...args) {
      try {
        return await client.call(command, ...args)
      } catch (error) {
        // The driver counts attempts for all commands together: the first one after an outage may have had none.
        if (!(error instanceof Error && error.name === 'MaxRetriesPerRequestError')) throw error
        return client.call(command, ...args)
      }
    },

    async close() {
      // Answers what was sent before.
      if (client.status === 'ready') await client.quit().catch(() => {})
      client.disconnect()
    },
  }
}
