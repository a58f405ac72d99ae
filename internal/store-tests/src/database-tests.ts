import { processCases as behaviourOfProcesses, headlineCases, secretsFound } from '@koa-session/behaviour'
import { planCases } from '@koa-session/behaviour/plans'
import { type SharedServer, urlVariables } from '@koa-session/test-servers'
import type { TestFn } from 'ava'
import type { Store } from 'koa-session-core'
import { type Capability, conformanceCases, raceOfProcesses } from 'koa-session-core/testkit'
import { bundleCase } from './bundle-case.js'
import { closeCases } from './close-cases.js'
import { exitCases } from './exit-cases.js'
import { processCases, raceSettings, startProcesses } from './process-cases.js'
import type { StoreProcess } from './store-process.js'
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
  /**
   * The module beside this one whose function `open` is for many stores in another process, on few connections.
   * @default 'open.js'
   */
  readonly remote?: string
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
  const world = new URL('world.js', options.module)
  const sites = behaviourOfProcesses({ module: world.href })
  test.after.always(() => sites.end())
  const processes: StoreProcess[] = []
  test.before(async () => {
    if (server) processes.push(...(await startProcesses(new URL(options.remote ?? 'open.js', options.module), url)))
  })
  test.after.always('processes end by themselves once their stores are closed', async t => {
    for (const one of processes) t.is(await one.end(), 0)
  })

  // One by one, and before all others: plans and cases about expiry set the clock.
  const serial = server ? test.serial : test.serial.skip
  for (const { title, run } of [
    ...planCases({ create: onOwnClient }),
    ...headlineCases({ create: onOwnClient, shared: true }),
    ...sites.cases,
    ...processCases({ processes, capabilities }),
    ...closeCases({ open, server: { url, host, port } }),
    ...exitCases({ module, url }),
    bundleCase({ module, url, capabilities }),
  ]) {
    serial(title, async t => {
      await t.notThrowsAsync(run())
    })
  }
  serial('the race of processes that the testkit offers to authors of stores', async t => {
    await t.notThrowsAsync(raceOfProcesses({ module: world, ...raceSettings }))
  })
  serial('a dump taken while users are signed in contains neither an id nor a subject, in any encoding', async t => {
    const dumped = newWorld()
    const store = open(url, dumped)
    t.deepEqual(await secretsFound(store, () => options.dump(url, dumped)), [])
    await store.close()
  })
  const parallel = server ? test : test.skip
  for (const { title, run } of conformanceCases({ create, capabilities })) {
    parallel(title, async t => {
      await t.notThrowsAsync(run())
    })
  }
}
