// The same as a CommonJS program whose compiler knows no `exports`. Compiled and run in an empty project, see check-install.js.
import Koa from 'koa'
import { memoryStore, type Sessions, session } from 'koa-session-core'
import { untilAborted } from 'koa-session-core/store'
import { type ConformanceCase, conformanceCases } from 'koa-session-core/testkit'
import { fileStore } from 'koa-session-store-file'
import { mongoStore } from 'koa-session-store-mongo'
import { mysqlStore } from 'koa-session-store-mysql'
import { postgresStore } from 'koa-session-store-postgres'
import { redisStore } from 'koa-session-store-redis'
import { sqliteStore } from 'koa-session-store-sqlite'

declare module 'koa-session-core' {
  interface SessionData {
    visits?: number
  }
}

const sessions: Sessions = session({ store: memoryStore() })
const app = new Koa()
app.use(sessions)
app.use(ctx => {
  const visits: number | undefined = ctx.session.visits
  ctx.body = String(visits)
})
const cases: ConformanceCase[] = conformanceCases({ create: () => memoryStore(), capabilities: ['sweep', 'keys'] })
const found = [fileStore, mongoStore, mysqlStore, postgresStore, redisStore, sqliteStore, untilAborted].map(
  one => one.name,
)
console.log(`node10: ${found.join(', ')} and ${cases.length} cases are found`)
