import { errorMonitor } from 'node:events'
import { clearTimeout, setTimeout } from 'node:timers'
import type { Commands, NodeRedis, NodeRedisClient, NodeRedisCluster, RedisClient } from './clients.js'

/** How long a command may wait for a connection, in milliseconds. Less than storeTimeout, so that the reason is known by then. */
const waitTime = 3_000

/** Strings, whatever types the app wants from its client. */
const strings = { typeMapping: {} }

export const isNodeRedis = (client: RedisClient): client is NodeRedis => !('call' in client)

/** The commands of a client of the app, of node-redis. */
export function nodeRedisCommands(client: NodeRedis): Commands {
  const connection = connectionOf(client)

  function send(words: string[]): Promise<unknown> {
    // Not every kind of client says so by itself.
    if (!client.isOpen) return Promise.reject(connection.closed())
    if (isCluster(client)) return client.sendCommand(keyIn(words), false, words, strings)
    if ('getSentinelNode' in client) return client.sendCommand(false, words, strings)
    if (client.isReady !== false) return client.sendCommand(words, strings)
    return connection.ready().then(() => client.sendCommand(words, strings))
  }

  return {
    call(command, ...args) {
      const words = wordsOf(command, args)
      return send(words).catch(error => {
        // Every command may be run twice. ioredis does this by itself.
        if (isLost(error)) return send(words)
        throw error
      })
    },
    keyPrefix: '',
    isCluster: isCluster(client),
    readsReplicas: false,
    async masters() {
      if (!isCluster(client)) return [this]
      if (!client.isOpen) throw connection.closed()
      const nodes = await Promise.all(client.masters.map(master => client.nodeClient(master as never)))
      return (nodes as NodeRedisClient[]).map(node => ({
        call: (command, ...args) => node.sendCommand(wordsOf(command, args), strings),
      }))
    },
    reasonFor: error => connection.reasonFor(error),
    get lastError() {
      return connection.lastError
    },
  }
}

const wordsOf = (command: string, args: readonly (string | number)[]): string[] => [command, ...args.map(String)]

const isCluster = (client: NodeRedis): client is NodeRedisCluster => 'nodeClient' in client

/** The key that decides which node of a Cluster is asked. */
const keyIn = (words: readonly string[]): string | undefined => words[words[0]?.startsWith('eval') ? 3 : 1]

const isLost = (error: unknown): boolean =>
  /^(Socket (closed|timeout)|(read|write) (ECONNRESET|EPIPE|ETIMEDOUT))/.test(Object(error).message)

/** The news of a client's connection. The driver tells only its listeners why there is none. */
class Connection {
  #lastError: Error | undefined
  #waiting = new Set<() => void>()

  constructor(client: NodeRedis) {
    const fail = (error: Error) => {
      this.#lastError = error
    }
    // If nobody listens to its errors, the driver ends the process. Whether that is so is left to the app.
    client.on?.(errorMonitor, fail)
    client.on?.('node-error', fail)
    client.on?.('ready', () => {
      this.#lastError = undefined
      for (const go of this.#waiting) go()
    })
  }

  get lastError(): Error | undefined {
    return this.#lastError
  }

  /**
   * Waits here for a connection, not in the queue of the driver. That one keeps every command of an outage, and version 5
   * loses others when one is taken out of it.
   */
  ready(): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = () => {
        clearTimeout(timer)
        this.#waiting.delete(go)
        resolve()
      }
      const giveUp = () => {
        this.#waiting.delete(go)
        reject(this.#lastError ?? new Error('Connection timeout'))
      }
      const timer = setTimeout(giveUp, waitTime)
      this.#waiting.add(go)
    })
  }

  closed(): Error {
    const why = this.#lastError
      ? `it gave up after ${this.#lastError.message}`
      : 'await its connect() before the first request, and close it after the last one'
    return new Error(`The client is closed: ${why}`)
  }

  /** The reason to reject with, if `error` only says that the driver gave up. */
  reasonFor(error: unknown): unknown {
    const { message } = Object(error)
    if (message === 'The client is closed') return this.closed()
    const gaveUp = /^(|The client is offline|Timeout waiting for a client)$/.test(message)
    return gaveUp ? (this.#lastError ?? new Error(message || 'Command timed out', { cause: error })) : error
  }
}

const connections = new WeakMap<NodeRedis, Connection>()

/** One for all stores on a client, so that it has few listeners. */
function connectionOf(client: NodeRedis): Connection {
  const connection = connections.get(client) ?? new Connection(client)
  connections.set(client, connection)
  return connection
}
