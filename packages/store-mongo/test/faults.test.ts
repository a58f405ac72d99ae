import { faultTests, ownServer } from '@koa-session/store-tests'
import test from 'ava'
import { open } from './open.js'

const [server, durable] = await Promise.all([ownServer('mongo'), ownServer('mongo', { durable: true })])
test.after.always(() => Promise.all([server?.end(), durable?.end()]))

faultTests(test, { server, durable, open, capabilities: ['sweep', 'keys', 'shared'] })
