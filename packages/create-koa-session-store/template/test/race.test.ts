import test from 'node:test'
import { raceOfProcesses } from 'koa-session-core/testkit'

test('the contract holds between processes', () => raceOfProcesses({ module: new URL('./open.js', import.meta.url) }))
