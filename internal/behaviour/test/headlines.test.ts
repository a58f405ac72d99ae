import { behaviourCases } from '@koa-session/behaviour'
import test from 'ava'
import { memoryStore } from 'koa-session-core'
import { headlines } from '../dist/headlines.js'

test('every headline is the title of one case', t => {
  const titles = behaviourCases({ create: () => memoryStore(), shared: true }).map(({ title }) => title)
  t.deepEqual(
    headlines.map(headline => titles.filter(title => title === headline).length),
    headlines.map(() => 1),
  )
})
