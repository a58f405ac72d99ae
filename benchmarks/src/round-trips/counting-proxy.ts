import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'

/** Stands before a server of a database and counts how often a client has to wait for an answer. */
export class CountingProxy {
  /** Bursts of commands that followed an answer, on all connections. */
  trips = 0
  readonly #server = createServer(client => this.#connect(client))
  readonly #sockets = new Set<Socket>()
  readonly #target: URL

  constructor(url: string) {
    this.#target = new URL(url)
  }

  /** Gives the URL that leads through here. */
  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    const { host } = this.#target
    const { port } = this.#server.address() as AddressInfo
    return this.#target.href.replace(host, `127.0.0.1:${port}`)
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }

  #connect(client: Socket): void {
    const server = connect(Number(this.#target.port), this.#target.hostname)
    let isAnswered = true
    client.on('data', chunk => {
      if (isAnswered) this.trips++
      isAnswered = false
      server.write(chunk)
    })
    server.on('data', chunk => {
      isAnswered = true
      client.write(chunk)
    })
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket)
      socket.setNoDelay()
      socket.on('error', () => other.destroy())
      socket.on('close', () => {
        this.#sockets.delete(socket)
        other.destroy()
      })
    }
  }
}
