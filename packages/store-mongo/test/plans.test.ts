import { planCases } from '@koa-session/behaviour/plans'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { create } from './world.js'

const server = await sharedServer('mongo')
process.env.MONGODB_URL = server?.url

for (const { title, run } of planCases({ create })) {
  const declare = server ? test.serial : test.serial.skip
  declare(title, async t => {
    await t.notThrowsAsync(run())
  })
}
