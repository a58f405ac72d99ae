import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { patient, within } from '@koa-session/behaviour/patience'
import { type FaultProxy, faultProxy, type TestServer } from '@koa-session/test-servers'
import { calls } from './calls.js'
import { lostReplies } from './lost-replies.js'
import { servesThrough } from './outage.js'
import { eventually, hundred, settled, soon } from './patience.js'
import { newKey, newRecord, newWorld, type OpenStore, type StoreCase, type TestedStore } from './tested-store.js'
import { writeLoad } from './write-load.js'

export interface FaultOptions {
  readonly open: OpenStore
  /** For these cases alone. */
  readonly server: TestServer
  /** For cases that restart it and look for what it had acknowledged. @default server */
  readonly durable?: TestServer
  /** Has the server end the connections of everybody. */
  endConnections?(url: string): Promise<void>
}

interface Stage {
  /** Through the proxy. */
  readonly store: TestedStore
  readonly proxy: FaultProxy
  readonly world: string
}

/** Promises that must hold while a server breaks and recovers. */
export function faultCases({ open, server, durable = server, endConnections }: FaultOptions): StoreCase[] {
  /** Runs a case with a store that has a connection through a proxy, and mends everything afterwards. */
  const staged =
    (use: (stage: Stage) => Promise<void>, target = server) =>
    async () => {
      const proxy = await faultProxy({ target })
      const world = newWorld()
      const store = open(proxy.through(target.url), world)
      try {
        await store.write(newKey(), newRecord(), null)
        await use({ store, proxy, world })
      } finally {
        if (target.pid === undefined) await target.restart()
        await target.resume()
        await proxy.pass()
        await store.close()
        await proxy.close()
      }
    }

  const silences = {
    'takes requests and never answers': {
      begin: ({ proxy }: Stage) => proxy.hang(),
      end: ({ proxy }: Stage) => proxy.pass(),
    },
    'is stopped': { begin: () => server.pause(), end: () => server.resume() },
  }

  const absences = {
    'refuses connections': ({ proxy }: Stage) => proxy.refuse(),
    'resets every connection': ({ proxy }: Stage) => proxy.reset(),
  }

  // Unless it says otherwise, a case is alone: drivers have deadlines of their own.
  const cases: StoreCase[] = [
    ...Object.entries(silences).flatMap(([silence, { begin, end }]): StoreCase[] => [
      {
        title: `when the server ${silence}, every call ends with its signal`,
        run: staged(async stage => {
          const [key, record] = [newKey(), newRecord({ subject: newKey() })]
          await stage.store.write(key, record, null)
          await begin(stage)
          for (const [method, call] of Object.entries(calls)) {
            const controller = new AbortController()
            const outcome = settled(call(stage.store, key, record, { signal: controller.signal }))
            await sleep(20)
            controller.abort(new Error('the reason'))
            const [end] = await within(soon, outcome, `${method} did not end with its signal`)
            assert.equal(end, 'the reason', `${method} rejects with the reason of its signal`)
          }
        }),
      },
      {
        title: `when the server ${silence}, a hundred calls end together, and the first one after its return works`,
        run: staged(async stage => {
          const [key, record] = [newKey(), newRecord()]
          await stage.store.write(key, record, null)
          await begin(stage)
          const controllers: AbortController[] = []
          const outcomes = hundred(() => {
            const controller = new AbortController()
            controllers.push(controller)
            return settled(stage.store.read(key, { signal: controller.signal }))
          })
          await sleep(200)
          for (const controller of controllers) controller.abort(new Error('the reason'))
          const ends = (await within(soon, outcomes, 'calls waited for each other')).map(([end]) => end)
          assert.deepEqual([...new Set(ends)], ['the reason'])
          // Long enough for a driver to give up its connection, and to find that a new one is no better.
          await sleep(3_000)
          await end(stage)
          assert.deepEqual(await within(soon, stage.store.read(key), 'the server is back, the store is not'), record)
          const answers = await within(
            5 * soon,
            hundred(() => stage.store.read(key)),
            'connections have leaked',
          )
          assert.ok(answers.every(answer => answer?.version === record.version))
        }),
      },
      {
        title: `when the server ${silence}, an app answers 503 in time, serves who needs no session, and heals by itself`,
        run: staged(stage => servesThrough(stage.store, { begin: () => begin(stage), end: () => end(stage) })),
      },
    ]),

    ...Object.entries(absences).map(
      ([absence, begin]): StoreCase => ({
        title: `when the server ${absence}, calls fail in time, and the first one after its return works`,
        run: staged(async stage => {
          const [key, record] = [newKey(), newRecord()]
          await stage.store.write(key, record, null)
          await begin(stage)
          const calling = hundred(() => settled(stage.store.read(key, { signal: AbortSignal.timeout(2_000) })))
          const ends = await within(2_000 + soon, calling, 'calls waited for each other')
          assert.ok(ends.every(([error]) => error !== undefined))
          await stage.proxy.pass()
          assert.deepEqual(await within(soon, stage.store.read(key), 'the server is back, the store is not'), record)
        }),
      }),
    ),

    ...Object.entries({ 'refuses connections': 'refuse', 'never answers': 'hang' } as const).map(
      ([absence, mode]): StoreCase => ({
        title: `when the server ${absence} from the first call on, calls fail, and the first one after its return works`,
        run: staged(async ({ store: other, proxy, world }) => {
          const [key, record] = [newKey(), newRecord()]
          await other.write(key, record, null)
          await proxy[mode]()
          const store = open(proxy.through(server.url), world)
          try {
            // Longer than drivers allow for a connection.
            const failing = () => hundred(() => settled(store.read(key, { signal: AbortSignal.timeout(4_000) })))
            const early = failing()
            await sleep(1_000)
            const ends = (await Promise.all([early, failing()])).flat()
            assert.ok(ends.every(([error]) => error !== undefined))
            await proxy.pass()
            assert.deepEqual(await within(soon, store.read(key), 'the server is back, the store is not'), record)
          } finally {
            await store.close()
          }
        }),
      }),
    ),

    {
      title: 'when the server is slow, calls wait for connections as long as their signals allow',
      run: staged(async ({ store, proxy }) => {
        const [key, record] = [newKey(), newRecord()]
        await store.write(key, record, null)
        await proxy.delay(250)
        const read = () => store.read(key, { signal: AbortSignal.timeout(patient(30_000)) })
        const answers = (await Promise.all([hundred(read), hundred(read)])).flat()
        assert.ok(answers.every(answer => answer?.version === record.version))
      }),
    },

    ...Object.entries(lostReplies).map(
      ([what, { before, call, after }]): StoreCase => ({
        title: `when the reply to ${what} is lost, asking again tells the truth`,
        isAlone: false,
        run: staged(async ({ store, proxy }) => {
          for (const subject of [undefined, newKey()]) {
            const key = newKey()
            const record = newRecord(subject === undefined ? {} : { subject })
            if (before) assert.equal(await store.write(key, record, null), true)
            await proxy.dropReply({ match: request => request.includes(key) })
            const { dropped } = proxy
            const [error, answer] = await within(10 * soon, settled(call(store, key, record)), `${what} did not end`)
            assert.equal(proxy.dropped, dropped + 1, 'A reply was lost')
            await proxy.pass()
            // The caller repeats the call, whatever the answer was.
            if (error === undefined && typeof answer === 'boolean') assert.equal(answer, true)
            await after(store, key, record)
          }
        }),
      }),
    ),

    {
      title: 'idle connections that the server ends never end the process, and the next call works',
      run: staged(async ({ store, proxy, world }) => {
        const direct = open(durable.url, world)
        const [key, record] = [newKey(), newRecord()]
        await direct.write(key, record, null)
        for (const end of [
          async () => proxy.disconnect(),
          async () => endConnections?.(durable.url),
          () => durable.restart(),
        ]) {
          await end()
          await sleep(100)
          for (const each of [store, direct]) {
            assert.deepEqual(
              await within(
                10 * soon,
                eventually(() => each.read(key)),
                'it does not come back',
              ),
              record,
            )
          }
        }
        await direct.close()
      }, durable),
    },

    {
      title: 'after kill -9 in the middle of a write load every acknowledged write is there, and the load goes on',
      run: staged(async ({ store: other, world }) => {
        const store = open(durable.url, world)
        const load = writeLoad(store, durable.oneWriter ? { writers: 1 } : {})
        await within(30 * soon, load.advance(100), 'there is no load')
        await durable.kill()
        await sleep(100)
        await durable.restart()
        load.mark()
        await within(30 * soon, load.advance(100), 'the load does not go on')
        await within(30 * soon, load.stop(), 'calls did not end')
        await load.verify(store)
        await load.verify(other)
        await store.close()
      }, durable),
    },
  ]
  return cases.map(each => ({ isAlone: true, ...each }))
}
