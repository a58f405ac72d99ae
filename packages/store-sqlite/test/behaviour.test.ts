import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { headlineCases, processCases, secretsFound } from '@koa-session/behaviour'
import { planCases } from '@koa-session/behaviour/plans'
import { inMemory } from '@koa-session/store-tests/in-memory'
import { newWorld } from '@koa-session/store-tests/tested-store'
import test from 'ava'
import { connect, open } from './open.js'

const root = await mkdtemp(join(inMemory(), 'koa-session-sqlite-'))
process.env.SQLITE_WORLDS = root
const processes = processCases({ module: new URL('open.js', import.meta.url).href })
test.after.always(async () => {
  await processes.end()
  await rm(root, { recursive: true, force: true })
})

const create = (world: string) => open(root, world)

for (const { title, run } of [
  ...planCases({ create }),
  ...headlineCases({ create, shared: true }),
  ...processes.cases,
]) {
  test.serial(title, async t => {
    await t.notThrowsAsync(run())
  })
}

test.serial('a dump taken while users are signed in contains neither an id nor a subject, in any encoding', async t => {
  const world = newWorld()
  const store = open(root, world)
  const dump = async () => {
    const database = connect(join(root, `${world}.db`))
    const rows = database.prepare('SELECT * FROM sessions').all()
    database.close()
    return Buffer.from(JSON.stringify(rows))
  }
  t.deepEqual(await secretsFound(store, dump), [])
  await store.close()
})
