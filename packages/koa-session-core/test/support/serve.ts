import { once } from 'node:events'
import { createServer, type IncomingMessage, request } from 'node:http'
import { connect, createServer as createServer2 } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import type { ExecutionContext } from 'ava'
import Koa, { type Middleware } from 'koa'
import { type SessionOptions, type Sessions, session } from 'koa-session-core'
import { type Handler, Koa2 } from './app.js'

export interface Answer {
  readonly status: number
  /** The values of a header, one for each line. */
  header(name: string): string[]
  readonly cookies: string[]
  readonly text: string
}

export interface Served {
  readonly app: Koa
  readonly sessions: Sessions
  readonly port: number
  /** The errors that `app.on('error')` received. */
  readonly errors: unknown[]
  ask(path?: string, cookie?: string): Promise<Answer>
}

export interface Platform {
  readonly App: typeof Koa
  readonly http2: boolean
}

/** Every Koa on every protocol that an app may be served by. */
export const platforms: Readonly<Record<string, Platform>> = {
  'Koa 3, HTTP/1': { App: Koa, http2: false },
  'Koa 2, HTTP/1': { App: Koa2, http2: false },
  'Koa 3, HTTP/2': { App: Koa, http2: true },
  'Koa 2, HTTP/2': { App: Koa2, http2: true },
}

interface Around {
  readonly outside?: readonly Middleware[]
  readonly options?: SessionOptions
  /** @default an `error` listener that keeps what it hears */
  readonly listens?: boolean
}

/** A Koa app with a session, whose answers are seen line by line. */
export async function serve(
  t: Pick<ExecutionContext, 'teardown'>,
  { App, http2 }: Platform,
  handler: Handler,
  { outside = [], options, listens = true }: Around = {},
): Promise<Served> {
  const app = new App()
  const errors: unknown[] = []
  if (listens) app.on('error', error => errors.push(error))
  for (const middleware of outside) app.use(middleware)
  const sessions = session(options)
  app.use(sessions)
  app.use(handler as unknown as Middleware)
  const server = http2 ? createServer2(app.callback()) : createServer(app.callback())
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    await sessions.close()
    const closed = new Promise(resolve => server.close(resolve))
    for (const socket of sockets) socket.destroy()
    await closed
  })
  const { port } = server.address() as AddressInfo
  const exchange = http2 ? exchange2 : exchange1
  return { app, sessions, port, errors, ask: (path = '/', cookie) => exchange(port, path, cookie ? { cookie } : {}) }
}

function answer(status: number, lines: (readonly [string, string])[], body: string): Answer {
  const header = (name: string) => lines.filter(([other]) => other.toLowerCase() === name).map(([, value]) => value)
  return { status, header, cookies: header('set-cookie'), text: body }
}

async function exchange1(port: number, path: string, headers: Record<string, string>): Promise<Answer> {
  const asked = request({ host: '127.0.0.1', port, path, headers, agent: false }).end()
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  const { rawHeaders, statusCode = 0 } = response
  const lines = rawHeaders.flatMap((name, at) => (at % 2 === 0 ? [[name, rawHeaders[at + 1] as string] as const] : []))
  return answer(statusCode, lines, await text(response))
}

async function exchange2(port: number, path: string, headers: Record<string, string>): Promise<Answer> {
  const client = connect(`http://127.0.0.1:${port}`)
  try {
    const stream = client.request({ ':path': path, ...headers })
    const [got] = (await once(stream, 'response')) as [Record<string, string | string[]>]
    const lines = Object.entries(got).flatMap(([name, value]) => [value].flat().map(line => [name, line] as const))
    return answer(Number(got[':status']), lines, await text(stream))
  } finally {
    client.close()
  }
}
