import { randomUUID } from 'node:crypto'
import { errorMonitor } from 'node:events'
import { clearTimeout, setTimeout } from 'node:timers'
import { elapsed } from 'koa-session-core/store'
import type { Commands, NodeRedis, NodeRedisClient, NodeRedisCluster, RedisClient } from './clients.js'

/** How long a command may wait for a connection, in milliseconds. Less than storeTimeout, so that the reason is known by then. */
const waitTime = 3_000

/**
 * A connection that owes answers and gave none for this many milliseconds gets no more commands: the driver's `socketTimeout`
 * begins anew with everything that is sent, so a busy app would keep a dead connection.
 */
const silence = 1_000

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
    const ask = () => connection.ask(() => client.sendCommand(words, strings))
    return connection.isReady ? ask() : connection.ready().then(ask)
  }

  const sendOwn = (words: string[]) => send(words).then(own)

  return {
    call(command, ...args) {
      const words = wordsOf(command, args)
      return sendOwn(words).catch(error => {
        // Every command may be run twice. ioredis does this by itself.
        if (isLost(error)) return sendOwn(words)
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
  /^(Socket (closed|timeout)|(read|write) (ECONNRESET|EPIPE|ETIMEDOUT)|ERR .*\bSETINFO\b)/i.test(Object(error).message)

/** In a pool version 5 may give a lost command the answer of the greeting on the next connection. No command of the store gets OK. */
function own(answer: unknown): unknown {
  if (answer === 'OK') throw new Error('Socket closed')
  return answer
}

/** The news of a client's connection. The driver tells only its listeners why there is none. */
class Connection {
  readonly #client: NodeRedis
  #lastError: Error | undefined
  #waiting = new Set<() => void>()
  /** Rejects the commands without an answer. */
  #owed = new Set<(error: Error) => void>()
  #heardAt = 0
  /** Whether answers go to the commands that they belong to. */
  #isProven = true

  constructor(client: NodeRedis) {
    this.#client = client
    const isSingle = !isCluster(client) && !('getSentinelNode' in client)
    const fail = (error: Error) => {
      this.#lastError = error
      if (isSingle && client.isReady === false) this.#lose(error)
    }
    // If nobody listens to its errors, the driver ends the process. Whether that is so is left to the app.
    client.on?.(errorMonitor, fail)
    client.on?.('node-error', fail)
    client.on?.('ready', () => {
      this.#lastError = undefined
      if (this.#isProven) this.#go()
      else this.#prove()
    })
  }

  /** Whether a command may be sent now. */
  get isReady(): boolean {
    const isSilent = this.#owed.size > 0 && elapsed() - this.#heardAt > silence
    return this.#client.isReady !== false && this.#isProven && !isSilent
  }

  ask<T>(send: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#owed.size === 0) this.#heardAt = elapsed()
      this.#owed.add(reject)
      const hear = () => {
        this.#owed.delete(reject)
        this.#heardAt = elapsed()
        if (this.#waiting.size > 0 && this.isReady) this.#go()
      }
      send().then(
        answer => {
          hear()
          resolve(answer)
        },
        error => {
          hear()
          reject(error)
        },
      )
    })
  }

  #go(): void {
    for (const go of this.#waiting) go()
  }

  /**
   * The connection is lost. Version 5 keeps commands that it sends at this moment, and gives them answers of the next
   * connection, so nothing that it answers from now on is believed.
   */
  #lose(error: Error): void {
    this.#isProven = false
    for (const reject of this.#owed) reject(error)
    this.#owed.clear()
  }

  /**
   * Ask for a word that nobody else asks for. If another answer comes, or none, all answers of this connection would go to the
   * wrong commands, and one user would get the session of another: the server is asked to end it.
   */
  #prove(): void {
    const client = this.#client as NodeRedisClient
    const word = randomUUID()
    let isOver = false
    const timer = setTimeout(() => end(undefined), silence)
    const end = (answer: unknown) => {
      if (isOver) return
      isOver = true
      clearTimeout(timer)
      if (client.isReady === false) return
      if (answer === word) {
        this.#isProven = true
        this.#go()
      } else client.sendCommand(['QUIT']).catch(() => {})
    }
    // A server that refuses this refuses the calls that follow, and they tell why.
    const refused = (error: unknown) => end(/SETINFO/.test(Object(error).message) ? error : word)
    this.ask(() => client.sendCommand(['EVAL', 'return ARGV[1]', '0', word], strings)).then(end, refused)
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
        // An answer that never comes must not hold back commands for ever.
        this.#heardAt = elapsed()
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
