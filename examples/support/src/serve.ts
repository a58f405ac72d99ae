import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type Koa from 'koa'
import type { Sessions } from 'koa-session-core'
import { SettingError } from './settings.js'

const firstPort = 3000
const lastPort = 3099
/** Deadline for answers under way after the signal to end, in milliseconds. */
const grace = 5_000

/**
 * Serve `app` on the loopback interface, say where to look, and end well on SIGINT and SIGTERM. The port is `PORT`, else
 * the first free one from 3000.
 */
export async function serve(app: Koa, sessions: Sessions): Promise<void> {
  const server = createServer(app.callback())
  const port = await listen(server)
  console.log(`Look at http://127.0.0.1:${port}/`)

  const end = async () => {
    setTimeout(() => server.closeAllConnections(), grace).unref()
    await new Promise(resolve => server.close(resolve))
    await sessions.close()
  }
  // A second signal has no listener and ends the process at once.
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, end)
}

async function listen(server: Server): Promise<number> {
  const { PORT } = process.env
  if (PORT && !(/^\d{1,5}$/.test(PORT) && Number(PORT) < 65_536)) {
    throw new SettingError(`PORT must be a number from 0 to 65535, got ${JSON.stringify(PORT)}`)
  }
  for (let port = PORT ? Number(PORT) : firstPort; ; port++) {
    try {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
      const address = server.address()
      return typeof address === 'object' && address ? address.port : port
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EACCES') throw new SettingError(`PORT=${port} is not allowed: choose one from 1024`)
      if (code !== 'EADDRINUSE') throw error
      if (PORT) throw new SettingError(`PORT=${port} is taken by another program: choose another, or leave PORT out`)
      if (port >= lastPort) throw new SettingError(`The ports ${firstPort} to ${lastPort} are taken: set PORT`)
    }
  }
}
