import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { within } from '@koa-session/behaviour/patience'
import { type FaultProxy, faultProxy, type TestServer } from '@koa-session/test-servers'
import { calls } from './calls.js'
import { serving } from './outage.js'
import { newKey, newRecord, newWorld, type OpenStore, type StoreCase, type TestedStore } from './tested-store.js'

export interface FirewallOptions {
  readonly open: OpenStore
  readonly server: Pick<TestServer, 'url' | 'host' | 'port'>
  /** How long connections are silent before the firewall forgets them, in milliseconds. @default 300 */
  readonly silence?: number
  /** The calls that each get a case. @default every kind of call */
  readonly methods?: readonly string[]
}

/** Within this time the first request after the silence is answered. */
const answered = 3_000

/** A firewall between the store and its server forgets idle connections, and tells neither side. */
export function firewallCases({ open, server, silence = 300, methods }: FirewallOptions): StoreCase[] {
  /** Runs a case with a store that has eight connections, if it uses so many. */
  const staged = (use: (store: TestedStore, proxy: FaultProxy) => Promise<void>) => async () => {
    const proxy = await faultProxy({ target: server })
    const store = open(proxy.through(server.url), newWorld())
    try {
      await store.write(newKey(), newRecord(), null)
      await connect(store, proxy)
      await use(store, proxy)
    } finally {
      await within(answered, store.close(), 'close waits for connections that are forgotten')
      await proxy.close()
    }
  }

  /** No driver can put eight calls on one connection while each reply is late, unless it uses only one. */
  async function connect(store: TestedStore, proxy: FaultProxy): Promise<void> {
    await proxy.delay(30)
    await eight(() => store.read(newKey()))
    await proxy.pass()
  }

  async function forgotten(proxy: FaultProxy): Promise<void> {
    await sleep(silence)
    proxy.forget()
  }

  return [
    ...Object.entries(calls)
      .filter(([method]) => methods?.includes(method) ?? true)
      .map(
        ([method, call]): StoreCase => ({
          title: `after a firewall forgot the connections, a ${method} is answered within 3 s`,
          run: staged(async (store, proxy) => {
            const [key, record] = [newKey(), newRecord({ subject: newKey() })]
            await store.write(key, record, null)
            await forgotten(proxy)
            const answer = await within(answered, call(store, key, record, {}), `no answer to ${method}`)
            assert.notEqual(answer, false)
          }),
        }),
      ),
    {
      title:
        'after a firewall forgot the connections, eight requests at once are answered within 3 s, and the next at once',
      run: staged((store, proxy) =>
        serving(store, {}, async get => {
          const first = await get('/visit')
          const cookie = first.headers.getSetCookie()[0]?.split(';')[0]
          for (let n = 0; n < 2; n++) {
            await connect(store, proxy)
            await forgotten(proxy)
            const answers = await within(
              answered,
              eight(() => get('/look', cookie)),
              'no answer',
            )
            assert.deepEqual(
              answers.map(({ status }) => status),
              Array(8).fill(200),
            )
            // Each of them would cost as much again if its connection was another that is forgotten.
            await within(answered, Promise.all([get('/look', cookie), get('/visit', cookie)]), 'no second answer')
          }
          assert.equal((await get('/look', cookie)).body, '3')
        }),
      ),
    },
    {
      title: 'a store whose connections a firewall forgot closes in time',
      // By what every case does at its end.
      run: staged((_store, proxy) => forgotten(proxy)),
    },
  ]
}

const eight = <T>(task: () => Promise<T>): Promise<T[]> => Promise.all(Array.from({ length: 8 }, task))
