import { headlineCases, processCases, secretsFound } from '@koa-session/behaviour'
import { planCases } from '@koa-session/behaviour/plans'
import { type SharedServer, urlVariables } from '@koa-session/test-servers'
import type { TestFn } from 'ava'
import type { Store } from 'koa-session-core'
import { type Capability, conformanceCases } from 'koa-session-core/testkit'
import { bundleCase } from './bundle-case.js'
import { closeCases } from './close-cases.js'
import { exitCases } from './exit-cases.js'
import { newWorld, type OpenStore } from './tested-store.js'

export interface DatabaseOptions {
  /** The result of `sharedServer`; without a server all tests are skipped. */
  readonly server: SharedServer | undefined
  /** Opens a store on a client of its own. */
  readonly open: OpenStore
  /** Opens a store on a client that all stores share. */
  create(world: string): Store
  /** The modules `open.js`, which exports `open`, and `world.js`, which exports `create`, are beside this one. */
  readonly module: string
  /** All that the backend holds of `world`. */
  dump(url: string, world: string): Promise<Uint8Array>
  readonly capabilities: readonly Capability[]
}

/** The tests of every database store on a working server. */
export function databaseStoreTests(test: TestFn, options: DatabaseOptions): void {
  const { server, open, create, capabilities } = options
  const module = new URL('open.js', options.module)
  const { url, host, port } = server ?? { url: '', host: '', port: 0 }
  if (server) process.env[urlVariables[server.kind]] = url
  const onOwnClient = (world: string) => open(url, world)
  const processes = processCases({ module: new URL('world.js', options.module).href })
  test.after.always(() => processes.end())

  // One by one, and before all others: plans and cases about expiry set the clock.
  const serial = server ? test.serial : test.serial.skip
  for (const { title, run } of [
    ...planCases({ create: onOwnClient }),
    ...headlineCases({ create: onOwnClient, shared: true }),
    ...processes.cases,
    ...closeCases({ open, server: { url, host, port } }),
    ...exitCases({ module, url }),
    bundleCase({ module, url, capabilities }),
  ]) {
    serial(title, async t => {
      await t.notThrowsAsync(run())
    })
  }
  serial('a dump taken while users are signed in contains neither an id nor a subject, in any encoding', async t => {
    const world = newWorld()
    const store = open(url, world)
    t.deepEqual(await secretsFound(store, () => options.dump(url, world)), [])
    await store.close()
  })
  const parallel = server ? test : test.skip
  for (const { title, run } of conformanceCases({ create, capabilities })) {
    parallel(title, async t => {
      await t.notThrowsAsync(run())
    })
  }
}
