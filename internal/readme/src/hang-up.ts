import { once } from 'node:events'
import type { IncomingMessage, Server } from 'node:http'
import { type AddressInfo, connect, type Server as TcpServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** The steps of a request after which a client may be gone. */
const steps = ['connected', 'half of the head', 'the whole head', 'the first bytes of the answer'] as const

/** Send every request once for each step, and reset the connection after it. Upgrades as well, where the server takes them. */
export async function hangUp(
  server: TcpServer,
  requests: readonly (readonly [method: string, path: string, body?: string])[],
  cookie: string,
): Promise<void> {
  const { port } = server.address() as AddressInfo
  const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
  const ways = server.listenerCount('upgrade') > 0 ? [[], upgrade] : [[]]
  for (const headers of ways) {
    for (const [method, path] of requests) {
      const cookies = cookie === '' ? [] : [`Cookie: ${cookie}`]
      const head = [`${method} ${path} HTTP/1.1`, 'Host: localhost', ...cookies, ...headers, '', ''].join('\r\n')
      for (const step of steps) await hangUpAfter(step, port, head, server as Server)
    }
  }
}

async function hangUpAfter(step: (typeof steps)[number], port: number, head: string, server: Server): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  if (step === 'half of the head') socket.write(head.slice(0, head.length / 2))
  else if (step !== 'connected') {
    // An upgrade begins with an event of its own.
    const over = new AbortController()
    const heard = (event: string) => once(server, event, { signal: over.signal }) as Promise<[IncomingMessage]>
    const begun = Promise.any([heard('request'), heard('upgrade')])
    socket.write(head)
    await begun
    // The other one would listen for ever.
    over.abort()
    if (step === 'the first bytes of the answer') {
      await Promise.race([once(socket, 'data'), once(socket, 'close'), sleep(1_000, undefined, { ref: false })])
    }
  }
  socket.resetAndDestroy()
  // Gives the server time to notice the reset and to fail in writing.
  await sleep(20)
}
