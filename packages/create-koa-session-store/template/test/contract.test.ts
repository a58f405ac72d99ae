import test from 'node:test'
import { conformanceCases } from 'koa-session-core/testkit'
import { create } from './open.js'

// Each case ends by itself, unless the driver keeps the process busy: then the limit in package.json ends the whole file, and a
// console.log(title) before each run shows the case.
for (const { title, run } of conformanceCases({ create, capabilities: ['sweep', 'keys', 'shared'] })) {
  test(title, run)
}
