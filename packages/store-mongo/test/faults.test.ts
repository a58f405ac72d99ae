import { faultCases, ownServer, slowCases } from '@koa-session/store-tests'
import test from 'ava'
import { open } from './open.js'

const server = await ownServer('mongo')
test.after.always(() => server?.end())

if (server) {
  const slow = slowCases({ open, server, capabilities: ['sweep', 'keys', 'shared'] })
  for (const { title, run } of [...faultCases({ open, server }), ...slow]) {
    test.serial(title, async t => {
      await run()
      t.pass()
    })
  }
} else {
  test.skip('what a broken MongoDB must not change', t => t.fail())
}
