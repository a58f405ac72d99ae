import { once } from 'node:events'
import test from 'ava'
import { io } from 'socket.io-client'
import WebSocket from 'ws'
import type { Block } from '../dist/blocks.js'
import { run, type Visited } from '../dist/run.js'
import type { Workplace } from '../dist/workplace.js'

/** The tests of docs/websockets.md, whose blocks are in `workplace`. */
export function websocketTests(blocks: readonly Block[], workplace: Workplace): void {
  /** Runs the block that imports `library`, and hands its app over. */
  async function meet(library: string, visit: (visited: Visited) => Promise<unknown>): Promise<void> {
    const block = blocks.find(({ code }) => code.includes(`from '${library}'`))
    await run(workplace.path(String(block?.file)), [['GET', '/']], visit)
  }

  test.serial('the ws server of docs/websockets.md serves a signed-in visitor, and no other', async t => {
    t.plan(4)
    await meet('ws', async ({ port, cookie }) => {
      const url = `ws://127.0.0.1:${port}/`
      const socket = new WebSocket(url, { headers: { cookie } })
      await once(socket, 'open')
      socket.send('hello')
      t.is(String((await once(socket, 'message'))[0]), 'saved')
      socket.close()
      for (const headers of [
        {},
        { cookie: `sid=${'x'.repeat(43)}` },
        { cookie, origin: 'https://elsewhere.example' },
      ]) {
        const [{ message }] = await once(new WebSocket(url, { headers }), 'error')
        t.is(message, 'Unexpected server response: 401')
      }
    })
  })

  test.serial('the socket.io server of docs/websockets.md serves a signed-in visitor, and no other', async t => {
    t.plan(3)
    await meet('socket.io', async ({ port, cookie }) => {
      const url = `http://127.0.0.1:${port}/`
      const socket = io(url, { extraHeaders: { cookie }, forceNew: true })
      t.teardown(() => void socket.disconnect())
      t.is(await socket.emitWithAck('say', 'hello'), true)
      const stranger = io(url, { forceNew: true, reconnection: false })
      t.teardown(() => void stranger.disconnect())
      const [{ message }] = await new Promise<[Error]>(resolve =>
        stranger.once('connect_error', error => resolve([error])),
      )
      t.is(message, 'unauthorized')
      const headers = { cookie, origin: 'https://elsewhere.example' }
      const other = io(url, { extraHeaders: headers, forceNew: true, reconnection: false, transports: ['websocket'] })
      t.teardown(() => void other.disconnect())
      t.truthy(await new Promise<Error>(resolve => other.once('connect_error', resolve)))
      for (const each of [socket, stranger, other]) each.disconnect()
    })
  })
}
