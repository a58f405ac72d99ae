import test from 'node:test'
import { conformanceCases } from 'koa-session-core/testkit'
import { create } from './open.js'

for (const { title, run } of conformanceCases({ create, capabilities: ['sweep', 'keys', 'shared'] })) {
  test(title, run)
}
