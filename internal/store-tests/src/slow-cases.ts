import { faultProxy, type TestServer } from '@koa-session/test-servers'
import type { Capability } from 'koa-session-core/testkit'
import { repeatedCases } from './repeated-cases.js'
import type { OpenStore, StoreCase } from './tested-store.js'

export interface SlowOptions {
  readonly open: OpenStore
  readonly server: Pick<TestServer, 'url' | 'host' | 'port'>
  readonly capabilities: readonly Capability[]
}

/** Races and conditions over connections on which every reply is late. */
export function slowCases({ open, server, capabilities }: SlowOptions): StoreCase[] {
  const casesAt = (url: string) => repeatedCases({ create: world => open(url, world), capabilities })
  return casesAt(server.url).map(({ title }, n) => ({
    title: `over a slow connection: ${title}`,
    async run() {
      const proxy = await faultProxy({ target: server })
      try {
        await proxy.delay(3)
        await casesAt(proxy.through(server.url))[n]?.run()
      } finally {
        await proxy.close()
      }
    },
  }))
}
