import { exitCases } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'

const server = await sharedServer('mongo')

for (const { title, run } of exitCases({
  module: new URL('open.js', import.meta.url),
  url: server?.url ?? 'mongodb://none',
})) {
  const declare = server ? test : test.skip
  declare(title, async t => {
    await t.notThrowsAsync(run())
  })
}
