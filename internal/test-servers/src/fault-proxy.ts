import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, host } from './ports.js'

export interface FaultProxyOptions {
  readonly target: { readonly host: string; readonly port: number }
}

/** Picks requests by what one TCP segment of the client holds. */
export type RequestMatch = (request: Buffer) => boolean

/** Stands between a driver and its server. It starts out passing; each method changes what it does from now on. */
export interface FaultProxy {
  readonly host: string
  readonly port: number
  /** Connections now open on the driver's side. */
  readonly open: number
  /** Connections taken since the start. */
  readonly accepted: number
  /** Replies that were dropped since the start. */
  readonly dropped: number
  /** Resolves when the next request has been taken that will never be answered, because the proxy hangs. */
  swallowed(): Promise<void>
  /** The same address, through this proxy. */
  through(url: string): string
  /** Forwards everything. Resets connections that were hung, because they have lost bytes. */
  pass(): Promise<void>
  /** Connections are refused. Connections that are open are reset. */
  refuse(): Promise<void>
  /** Resets connections that are open, and each new one as soon as it is made. */
  reset(): Promise<void>
  /** Takes connections and requests, and never answers. */
  hang(): Promise<void>
  /** Forwards, each reply so many milliseconds late. */
  delay(milliseconds: number): Promise<void>
  /**
   * Forwards requests; when the server answers one of them, so that it was carried out, resets the driver's connection
   * instead. After `count` replies it passes.
   */
  dropReply(options?: { count?: number; match?: RequestMatch }): Promise<void>
  /** Resets the connections that are open now; changes nothing for new ones. */
  disconnect(): void
  /**
   * Acts like a firewall that has lost track of the connections that are open now: what they send or receive from now on
   * vanishes, and neither side learns of it. Changes nothing for new ones.
   */
  forget(): void
  /** Forgets each connection that was silent for so many milliseconds. `Infinity`: none. */
  forgetIdle(milliseconds: number): void
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

type Mode =
  | { readonly name: 'pass' | 'refuse' | 'reset' | 'hang' }
  | { readonly name: 'delay'; readonly milliseconds: number }
  | { readonly name: 'dropReply'; left: number; readonly match: RequestMatch }

interface Link {
  readonly driver: Socket
  readonly server: Socket
  /** Bytes were swallowed: it can never make sense again. */
  isHung: boolean
  /** Its next reply is the one to drop. */
  isMarked: boolean
  isForgotten: boolean
  /** When bytes last passed, by the monotonic clock. */
  passedAt: number
}

export async function faultProxy({ target }: FaultProxyOptions): Promise<FaultProxy> {
  const port = await freePort()
  const links = new Set<Link>()
  let mode: Mode = { name: 'pass' }
  let listener: Server | undefined
  let accepted = 0
  let dropped = 0
  let swallow: (() => void)[] = []
  let longestIdle = Number.POSITIVE_INFINITY

  async function listen() {
    if (listener !== undefined) return
    listener = createServer({ allowHalfOpen: true, noDelay: true }, take).listen({ port, host })
    await once(listener, 'listening')
  }

  function unlisten(): Promise<void> {
    const closing = listener
    listener = undefined
    return new Promise(resolve => (closing ? closing.close(() => resolve()) : resolve()))
  }

  function take(driver: Socket) {
    accepted++
    if (mode.name === 'reset') {
      reset(driver.on('error', () => {}))
      return
    }
    const server = connect({ ...target, allowHalfOpen: true, noDelay: true })
    const link: Link = {
      driver,
      server,
      isHung: mode.name === 'hang',
      isMarked: false,
      isForgotten: false,
      passedAt: performance.now(),
    }
    links.add(link)
    const finish = () => {
      links.delete(link)
      driver.destroy()
      server.destroy()
    }
    driver.on('error', finish).on('close', finish)
    // The driver learns of it as a reset, like from a server that died; and of nothing when it is hung.
    const isSilent = () => link.isHung || isForgotten(link)
    server.on('error', () => isSilent() || cut(link)).on('close', () => isSilent() || finish())
    forward(
      driver,
      server,
      chunk => passRequest(link, chunk),
      () => !isForgotten(link),
    )
    forward(
      server,
      driver,
      () => passReply(link),
      () => !isSilent(),
    )
  }

  function isForgotten(link: Link): boolean {
    const now = performance.now()
    if (now - link.passedAt > longestIdle) link.isForgotten = true
    if (!link.isForgotten) link.passedAt = now
    return link.isForgotten
  }

  /** How late the chunk goes on, in milliseconds; `undefined`: never. */
  function passRequest(link: Link, request: Buffer): number | undefined {
    if (isForgotten(link)) return undefined
    if (mode.name === 'hang') link.isHung = true
    if (mode.name === 'dropReply' && mode.left > 0 && mode.match(request)) link.isMarked = true
    if (!link.isHung) return 0
    for (const tell of swallow) tell()
    swallow = []
    return undefined
  }

  function passReply(link: Link): number | undefined {
    if (isForgotten(link)) return undefined
    if (mode.name === 'hang') link.isHung = true
    if (link.isHung) return undefined
    if (mode.name === 'dropReply' && mode.left > 0 && link.isMarked) {
      mode.left--
      dropped++
      reset(link.driver)
      return undefined
    }
    return mode.name === 'delay' ? mode.milliseconds : 0
  }

  function cut(link: Link) {
    links.delete(link)
    reset(link.driver)
    link.server.destroy()
  }

  function disconnect() {
    for (const link of links) cut(link)
  }

  async function become(next: Mode) {
    mode = next
    if (next.name === 'refuse' || next.name === 'reset') disconnect()
    if (next.name !== 'hang') for (const link of links) if (link.isHung) cut(link)
    if (next.name === 'refuse') await unlisten()
    else await listen()
  }

  await listen()
  const proxy: FaultProxy = {
    host,
    port,
    get open() {
      return links.size
    },
    get accepted() {
      return accepted
    },
    get dropped() {
      return dropped
    },
    swallowed: () => new Promise(resolve => swallow.push(resolve)),
    through(url) {
      const address = new URL(url)
      address.host = `${host}:${port}`
      return address.href
    },
    pass: () => become({ name: 'pass' }),
    refuse: () => become({ name: 'refuse' }),
    reset: () => become({ name: 'reset' }),
    hang: () => become({ name: 'hang' }),
    delay: milliseconds => become({ name: 'delay', milliseconds }),
    dropReply: ({ count = 1, match = () => true } = {}) => become({ name: 'dropReply', left: count, match }),
    disconnect,
    forget() {
      for (const link of links) link.isForgotten = true
    },
    forgetIdle(milliseconds) {
      longestIdle = milliseconds
    },
    async close() {
      disconnect()
      await unlisten()
    },
    [Symbol.asyncDispose]: () => proxy.close(),
  }
  return proxy
}

/** Hands chunks on in order, each when `decide` says: after so many milliseconds, or never. */
function forward(
  from: Socket,
  to: Socket,
  decide: (chunk: Buffer) => number | undefined,
  mayEnd: () => boolean = () => true,
): void {
  let before = Promise.resolve()
  from.on('data', chunk => {
    const late = decide(chunk)
    if (late === undefined) return
    const due = Date.now() + late
    before = before.then(async () => {
      const wait = due - Date.now()
      if (wait > 0) await sleep(wait)
      if (to.destroyed || to.write(chunk)) return
      from.pause()
      to.once('drain', () => from.resume())
    })
  })
  from.on('end', () => {
    before = before.then(() => {
      if (mayEnd()) to.end()
    })
  })
}

/** Ends the connection by a reset. One that is being closed takes none (EINVAL), and Node would then never let go of it. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}
