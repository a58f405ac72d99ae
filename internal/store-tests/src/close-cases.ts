import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { within } from '@koa-session/behaviour/patience'
import { faultProxy, type TestServer } from '@koa-session/test-servers'
import { calls } from './calls.js'
import { soon, until } from './patience.js'
import { newKey, newRecord, newWorld, type OpenStore, type StoreCase } from './tested-store.js'

export interface CloseOptions {
  /** Opens a store on a client of its own. */
  readonly open: OpenStore
  readonly server: Pick<TestServer, 'url' | 'host' | 'port'>
}

/** A store closes while it is in use. */
export function closeCases({ open, server }: CloseOptions): StoreCase[] {
  return [
    {
      title: 'calls under way when a store closes end as usual, others are refused at once, and no connection is left',
      async run() {
        const proxy = await faultProxy({ target: server })
        const store = open(proxy.through(server.url), newWorld())
        const sessions = Object.keys(calls).map(() => [newKey(), newRecord({ subject: newKey() })] as const)
        for (const [key, record] of sessions) await store.write(key, record, null)
        await proxy.delay(100)
        const underWay = Object.entries(calls).map(([, call], n) => call(store, ...at(sessions, n), {}))
        // They are looked at below.
        for (const answer of underWay) answer.catch(() => {})
        // A client that got one more call with every answer would never close.
        const closing = store.close()
        const refused = Object.entries(calls).map(([method, call], n) =>
          assert.rejects(call(store, ...at(sessions, n), {}), /store is closed/, method),
        )
        await within(soon, Promise.all(refused), 'a refusal waits')
        for (const [n, method] of Object.keys(calls).entries()) {
          // A listing is a call for each page.
          const answer = at(underWay, n).catch(error => /^keys/.test(method) || assert.fail(error))
          assert.notEqual(await answer, false, method)
        }
        await within(5 * soon, Promise.all([closing, store.close()]), 'close does not end')
        await until(() => proxy.open === 0)
        assert.equal(proxy.open, 0, 'connections are left')
        await assert.rejects(store.read(newKey()), /store is closed/)
        await proxy.close()
      },
    },
    {
      title: 'a store that is called without pause closes all the same',
      async run() {
        const store = open(server.url, newWorld())
        await store.write(newKey(), newRecord(), null)
        let refused = 0
        const callers = Array.from({ length: 20 }, async () => {
          for (;;) {
            try {
              await store.read(newKey())
            } catch (error) {
              assert.match((error as Error).message, /store is closed/)
              refused++
              return
            }
          }
        })
        await sleep(100)
        await within(5 * soon, store.close(), 'close does not end')
        await within(5 * soon, Promise.all(callers), 'calls go on')
        assert.equal(refused, callers.length)
      },
    },
    {
      title: 'thirty stores that were opened and closed one after the other leave no connection',
      async run() {
        const proxy = await faultProxy({ target: server })
        const world = newWorld()
        for (let n = 0; n < 30; n++) {
          const store = open(proxy.through(server.url), world)
          await store.read(newKey())
          await store.close()
        }
        await until(() => proxy.open === 0)
        assert.equal(proxy.open, 0)
        await proxy.close()
      },
    },
  ]
}

function at<T>(list: readonly T[], n: number): T {
  return list[n] as T
}
