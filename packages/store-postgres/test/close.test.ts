import { closeCases } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import anyTest from 'ava'
import { open } from './open.js'

const server = await sharedServer('postgres')
const test = server ? anyTest : anyTest.skip
const { url, host, port } = server ?? { url: 'postgres://none', host: '', port: 0 }

for (const { title, run } of closeCases({ open, server: { url, host, port } })) {
  test(title, async t => {
    await t.notThrowsAsync(run())
  })
}
