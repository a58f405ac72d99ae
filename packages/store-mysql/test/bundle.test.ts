import { bundleCase } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'

const server = await sharedServer('mysql')
const module = new URL('open.js', import.meta.url)
const { title, run } = bundleCase({ module, url: server?.url ?? '', capabilities: ['sweep', 'keys', 'shared'] })

const declare = server ? test : test.skip
declare(title, async t => {
  await t.notThrowsAsync(run())
})
