import { clearTimeout, setImmediate, setTimeout } from 'node:timers'
import type { Redis } from 'ioredis'
import { Deadlines, elapsed, IdleConnections } from 'koa-session-core/store'
import { LostConnection, reasonFor } from './ioredis.js'

/** How long a connection of our own may stay idle, in milliseconds. Less than firewalls and servers allow. */
const idleTime = 30_000

const ignore = () => {}

/**
 * The most milliseconds that a call may take, including the wait for a connection. Less than storeTimeout, so that the reason is
 * known by then. The driver's own `commandTimeout` makes a timer for each command.
 */
const callTime = 3_000

/** A command that took this many milliseconds to fail is not retried. */
const retryTime = 1_000

/**
 * A client that connects when it is first used, fails soon while the server is away, reconnects by itself, and does not keep
 * an otherwise idle process alive.
 */
export class OwnClient {
  readonly #client: Redis
  readonly #lost: LostConnection
  readonly #deadlines = new Deadlines()
  #running = 0
  #gathering: Redis['stream'] | undefined
  #closing: Promise<void> | undefined
  #closed = ignore
  #answeredAt = Number.POSITIVE_INFINITY
  #restsSince = 0
  /** Ends a connection that was idle and gives no answer. */
  #patience: NodeJS.Timeout | undefined
  /** Ends a connection that has been idle for too long. It is not renewed for every call. */
  #idleness: NodeJS.Timeout | undefined

  constructor(driver: typeof Redis, url: string) {
    this.#client = new driver(url, {
      lazyConnect: true,
      connectTimeout: 2_000,
      keepAlive: 10_000,
      // If the server takes commands and never answers, give up the connection; the next attempt tells whether it is back.
      socketTimeout: 2_000,
      maxRetriesPerRequest: 1,
      retryStrategy: attempt => (this.#running > 0 ? Math.min(attempt * 50, 500) : null),
      // The master became a replica behind its name: the next connection leads to the new one.
      reconnectOnError: error => (error.message.includes('READONLY') ? 2 : false),
    })
    // Also listens to errors: without a listener an idle disconnect would be printed.
    this.#lost = new LostConnection(this.#client)
    this.#client.on('connect', () => this.#running > 0 || this.#client.stream.unref())
    this.#client.on('close', () => {
      clearTimeout(this.#patience)
      this.#answeredAt = Number.POSITIVE_INFINITY
    })
  }

  call(command: string, ...args: (string | number)[]): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#closing) return reject(new Error('the redis store is closed'))
      if (this.#running++ === 0) this.#begin()
      const deadline = elapsed() + callTime
      const expire = () => {
        this.#end()
        reject(reasonFor(new Error('Command timed out'), this.#client, this.#lost))
      }
      const call = { deadline, place: 0, expire }
      this.#deadlines.add(call)
      const succeed = (answer: unknown) => {
        this.#answeredAt = elapsed()
        if (this.#deadlines.remove(call)) this.#end()
        resolve(answer)
      }
      const fail = (error: unknown) => {
        if (this.#deadlines.remove(call)) this.#end()
        reject(reasonFor(error, this.#client, this.#lost))
      }
      if (this.#client.status === 'end') this.#client.connect().catch(ignore)
      if (this.#running > 1) this.#gather()
      this.#client.call(command, ...args).then(succeed, error => {
        // The driver counts attempts for all commands together: the first one after an outage may have had none.
        const hadNone =
          Object(error).name === 'MaxRetriesPerRequestError' && deadline - elapsed() > callTime - retryTime
        if (hadNone) this.#client.call(command, ...args).then(succeed, fail)
        else fail(error)
      })
    })
  }

  /** Waits for commands under way, including those that no call waits for. */
  close(): Promise<void> {
    this.#closing ??= new Promise(resolve => {
      this.#closed = resolve
    })
    if (this.#running === 0) this.#disconnect()
    return this.#closing
  }

  /** The commands of one turn of the event loop go out together: a write of its own for each is the greater part of its cost. */
  #gather(): void {
    const { status, stream } = this.#client
    if (this.#gathering === stream || status !== 'ready') return
    this.#gathering = stream
    stream.cork()
    setImmediate(() => {
      this.#gathering = undefined
      stream.uncork()
    })
  }

  #begin(): void {
    this.#client.stream?.ref()
    if (elapsed() - this.#answeredAt < IdleConnections.silence) return
    // A firewall may have forgotten it. The driver sends what was not answered over the next one.
    clearTimeout(this.#patience)
    this.#patience = setTimeout(() => this.#client.stream?.destroy(), IdleConnections.patience)
  }

  #end(): void {
    if (this.#patience) clearTimeout(this.#patience)
    this.#patience = undefined
    if (--this.#running > 0) return
    if (this.#closing) this.#disconnect()
    else {
      this.#client.stream?.unref()
      this.#restsSince = elapsed()
      this.#idleness ??= this.#endIdle(idleTime)
    }
  }

  /** While nothing is under way, the driver does not reconnect. */
  #endIdle(delay: number): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#idleness = undefined
      if (this.#running > 0) return
      const left = this.#restsSince + idleTime - elapsed()
      if (left > 0) this.#idleness = this.#endIdle(left)
      else this.#client.stream?.destroy()
    }, delay)
    return timer.unref()
  }

  #disconnect(): void {
    clearTimeout(this.#idleness)
    this.#client.disconnect()
    this.#client.stream?.destroy()
    this.#closed()
  }

  /** Why there is no connection, if there is none. */
  get lastError(): unknown {
    return this.#lost.reason
  }
}
