// An app of somebody who installed the packages. Compiled and run in an empty project, see check-install.js.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import Koa from 'koa'

declare module 'koa-session-core' {
  interface SessionData {
    visits?: number
  }
}

const require = createRequire(import.meta.url)
const byRequire = process.argv[2] === 'require'

const core: typeof import('koa-session-core') = byRequire
  ? require('koa-session-core')
  : await import('koa-session-core')
const { fileStore }: typeof import('koa-session-store-file') = byRequire
  ? require('koa-session-store-file')
  : await import('koa-session-store-file')
const { conformanceCases }: typeof import('koa-session-core/testkit') = byRequire
  ? require('koa-session-core/testkit')
  : await import('koa-session-core/testkit')

const { redisStore }: typeof import('koa-session-store-redis') = byRequire
  ? require('koa-session-store-redis')
  : await import('koa-session-store-redis')
const { postgresStore }: typeof import('koa-session-store-postgres') = byRequire
  ? require('koa-session-store-postgres')
  : await import('koa-session-store-postgres')
const { mysqlStore }: typeof import('koa-session-store-mysql') = byRequire
  ? require('koa-session-store-mysql')
  : await import('koa-session-store-mysql')
const { mongoStore }: typeof import('koa-session-store-mongo') = byRequire
  ? require('koa-session-store-mongo')
  : await import('koa-session-store-mongo')
const { sqliteStore }: typeof import('koa-session-store-sqlite') = byRequire
  ? require('koa-session-store-sqlite')
  : await import('koa-session-store-sqlite')

// No server is asked for anything before the first session.
const idle = [
  redisStore({ url: 'redis://127.0.0.1:1' }),
  postgresStore({ url: 'postgres://127.0.0.1:1/none' }),
  mysqlStore({ url: 'mysql://127.0.0.1:1/none' }),
  mongoStore({ url: 'mongodb://127.0.0.1:1/none' }),
  sqliteStore({ database: { prepare: assert.fail, exec: assert.fail } }),
]
for (const store of idle) {
  await core.session({ store }).close()
  console.log(`${byRequire ? 'require' : 'import'}: the store ${store.name} opens and closes`)
}

const [first] = conformanceCases({ create: world => fileStore({ directory: world }), capabilities: ['sweep', 'keys'] })
await first?.run()

for (const store of [core.memoryStore(), fileStore()]) {
  const sessions = core.session({ store })
  const app = new Koa()
  app.use(sessions)
  app.use(async ctx => {
    ctx.session.visits = (ctx.session.visits ?? 0) + 1
    ctx.body = String(ctx.session.visits)
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const response = await fetch(address)
  const cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? ''
  assert.equal(await response.text(), '1')
  assert.equal(await (await fetch(address, { headers: { cookie } })).text(), '2')
  server.close()
  await sessions.close()
  console.log(`${byRequire ? 'require' : 'import'}: an app on the store ${store.name} works`)
}
