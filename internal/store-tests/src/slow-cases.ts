import { type FaultProxy, faultProxy, type TestServer } from '@koa-session/test-servers'
import type { Capability } from 'koa-session-core/testkit'
import { repeatedCases } from './repeated-cases.js'
import type { OpenStore, StoreCase } from './tested-store.js'

export interface SlowOptions {
  readonly open: OpenStore
  readonly server: Pick<TestServer, 'url' | 'host' | 'port'>
  readonly capabilities: readonly Capability[]
}

/** Races and conditions over connections on which every reply is late. The cases must not run at once. */
export function slowCases({ open, server, capabilities }: SlowOptions): StoreCase[] {
  let proxy: FaultProxy
  const create = (world: string) => open(proxy.through(server.url), world)
  return repeatedCases({ create, capabilities }).map(({ title, run }) => ({
    title: `over a slow connection: ${title}`,
    async run() {
      proxy = await faultProxy({ target: server })
      try {
        await proxy.delay(3)
        await run()
      } finally {
        await proxy.close()
      }
    },
  }))
}
