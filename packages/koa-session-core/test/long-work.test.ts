import { setTimeout as sleep } from 'node:timers/promises'
import test from 'ava'
import { memoryStore, type StoreCall, session } from 'koa-session-core'

/** A store that needs 40 steps of 75 ms for what is long work. */
function slowStore(step: (call?: StoreCall) => void) {
  async function work(call?: StoreCall) {
    for (let n = 0; n < 40; n++) {
      step(call)
      await sleep(75)
    }
  }
  return {
    ...memoryStore(),
    async sweep(call?: StoreCall) {
      await work(call)
      return 40
    },
    async *keys(call?: StoreCall) {
      await work(call)
      yield '0'.repeat(64)
    },
  }
}

const open = (step: (call?: StoreCall) => void) =>
  session({ store: slowStore(step), storeTimeout: 2_000, subject: () => undefined })

test('a sweep and a listing may take longer than storeTimeout while the store goes on step by step', async t => {
  const sessions = open(call => call?.signal?.throwIfAborted())
  t.is(await sessions.sweep(), 40)
  for await (const one of sessions.list('ada')) t.fail(one.key)
})

test('a sweep and a listing that take longer without a step time out', async t => {
  const sessions = open(() => {})
  await t.throwsAsync(sessions.sweep(), { code: 'ERR_SESSION_TIMEOUT' })
  await t.throwsAsync(sessions.list('ada')[Symbol.asyncIterator]().next(), { code: 'ERR_SESSION_TIMEOUT' })
})
