import type { Redis } from 'ioredis'
import type { Commands, IoredisClient } from './clients.js'

/** The commands of a client of the app, of ioredis or iovalkey. */
export function ioredisCommands(client: IoredisClient): Commands {
  const { options } = client
  return {
    call: (command, ...args) => client.call(command, ...args),
    keyPrefix: options?.keyPrefix ?? '',
    isCluster: client.nodes !== undefined,
    readsReplicas: client.nodes !== undefined && options?.scaleReads !== 'master',
    async masters() {
      if (client.nodes === undefined) return [client]
      // A Cluster client knows its nodes once it has answered.
      await client.call('ping')
      return client.nodes('master')
    },
    reasonFor: error => reasonFor(error, client),
    get lastError() {
      return client.stream?.errored
    },
  }
}

/** Why a client has no connection. The driver tells only its listeners; commands reject with "gave up", without the reason. */
export class LostConnection {
  #reason: unknown
  /** The connection of now was used, or the driver has said what ended it. */
  #isTold = false

  constructor(client: Redis) {
    client.on('connecting', () => {
      this.#isTold = false
    })
    client.on('error', error => {
      this.#reason = this.#isTold ? error : explained(error, client)
      this.#isTold = true
      // The driver would silently use database 0, where other programs may be.
      if (!isRefusedDatabase(error)) return
      client.disconnect()
      client.stream?.destroy()
    })
    client.on('close', () => {
      if (!this.#isTold) this.#reason = explained(closed(), client)
    })
    client.on('ready', () => {
      this.#isTold = true
      this.#reason = undefined
    })
  }

  get reason(): unknown {
    return this.#reason
  }
}

/** The reason to reject with, if `error` only says that the driver gave up. */
export function reasonFor(error: unknown, { stream }: Pick<IoredisClient, 'stream'>, lost?: LostConnection): unknown {
  const { name, message, lastNodeError } = Object(error)
  // Of a Cluster.
  if (lastNodeError) return lastNodeError
  const gaveUp = name === 'MaxRetriesPerRequestError' || /^(Connection is closed|Command timed out)/.test(message)
  return gaveUp ? (lost?.reason ?? stream?.errored ?? error) : error
}

const closed = () => Object.assign(new Error('connection closed'), { code: 'ECONNRESET' })

/** With TLS on one side only, neither side says so. */
function explained(error: Error, { options, stream }: Redis): Error {
  const { code, message } = error as NodeJS.ErrnoException
  const isCut = Number(stream?.bytesWritten) > 0 && (code === 'ECONNRESET' || code === 'EPIPE')
  const isOpen = options.tls === undefined
  if (isOpen ? !isCut : code !== 'ETIMEDOUT') return error
  const question = isOpen
    ? 'the server hung up before it answered; does it want TLS (rediss://)?'
    : 'no TLS connection was established in time; does the server speak TLS?'
  return Object.assign(new Error(`${message}: ${question}`, { cause: error }), { code })
}

const isRefusedDatabase = (error: unknown): boolean => Object(Object(error).command).name === 'select'
