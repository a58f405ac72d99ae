import { headlineCases, processCases } from '@koa-session/behaviour'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { create } from './world.js'

const server = await sharedServer('postgres')
process.env.POSTGRES_URL = server?.url
const processes = processCases({ module: new URL('world.js', import.meta.url).href })
test.after.always(() => processes.end())

for (const { title, run } of [...headlineCases({ create, shared: true }), ...processes.cases]) {
  const declare = server ? test.serial : test.serial.skip
  declare(title, async t => {
    await t.notThrowsAsync(run())
  })
}
