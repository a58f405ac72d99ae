import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { patient, stopwatch, within } from '@koa-session/behaviour/patience'
import Koa from 'koa'
import { session } from 'koa-session-core'
import { hundred, soon } from './patience.js'
import type { TestedStore } from './tested-store.js'

declare module 'koa-session-core' {
  interface SessionData {
    visits?: number
  }
}

const storeTimeout = patient(1_000)

type Get = (path: string, cookie?: string) => Promise<{ status: number; body: string; headers: Headers }>

/** Runs `use` with an app on `store` that counts on `/visit` and shows the count on `/look`. */
export async function serving(
  store: TestedStore,
  options: { storeTimeout?: number },
  use: (get: Get, took: number[]) => Promise<void>,
): Promise<void> {
  const app = new Koa()
  // Check the answers that users get, not the reported errors.
  app.on('error', () => {})
  const took: number[] = []
  app.use(async (_ctx, next) => {
    const watch = stopwatch()
    await next().finally(() => took.push(watch()))
  })
  app.use(session({ store, sweepInterval: 0, ...options }))
  app.use(ctx => {
    if (ctx.path === '/visit') ctx.session.visits = (ctx.session.visits ?? 0) + 1
    ctx.body = String(ctx.path === '/' ? 'welcome' : ctx.session.visits)
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const get: Get = async (path, cookie = '') => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`
    const response = await fetch(url, { headers: { cookie, connection: 'close' } })
    return { status: response.status, body: await response.text(), headers: response.headers }
  }
  try {
    await use(get, took)
  } finally {
    server.close()
  }
}

/** An app on `store` sees its users through a time in which the server is silent. */
export function servesThrough(
  store: TestedStore,
  silence: { begin(): Promise<void>; end(): Promise<void> },
): Promise<void> {
  return serving(store, { storeTimeout }, async (get, took) => {
    const first = await get('/visit')
    const cookie = first.headers.getSetCookie()[0]?.split(';')[0]
    assert.equal(first.body, '1')
    took.length = 0
    await silence.begin()
    const visits = hundred(() => get('/visit', cookie))
    visits.catch(() => {})
    assert.equal((await within(1_000 + soon, get('/'), 'nobody is served')).status, 200)
    for (const { status, headers } of await visits) {
      assert.equal(status, 503)
      assert.ok(headers.has('retry-after'))
    }
    const latest = Math.max(...took)
    assert.ok(latest < storeTimeout + patient(500), `the last one was answered after ${latest} ms`)
    await silence.end()
    const last = await within(soon, get('/visit', cookie), 'the server is back, the app is not')
    assert.deepEqual([last.status, last.body], [200, '2'])
  })
}
