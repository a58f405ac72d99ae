import { faultCases, ownServer, slowCases } from '@koa-session/store-tests'
import test from 'ava'
import { open } from './open.js'

const [server, durable] = await Promise.all([ownServer('mongo'), ownServer('mongo', { durable: true })])
test.after.always(() => Promise.all([server?.end(), durable?.end()]))

if (server && durable) {
  const slow = slowCases({ open, server, capabilities: ['sweep', 'keys', 'shared'] })
  for (const { title, run } of [...faultCases({ open, server, durable }), ...slow]) {
    test.serial(title, async t => {
      await t.notThrowsAsync(run())
    })
  }
} else {
  test.skip('what a broken MongoDB must not change', t => t.fail())
}
