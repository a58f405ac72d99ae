import { fewAtOnce } from '@koa-session/behaviour/few-at-once'
import { isFull } from '@koa-session/behaviour/full'
import type { TestServer } from '@koa-session/test-servers'
import type { TestFn } from 'ava'
import type { Capability } from 'koa-session-core/testkit'
import { faultCases } from './fault-cases.js'
import { firewallCases } from './firewall-cases.js'
import { slowCases } from './slow-cases.js'
import type { OpenStore } from './tested-store.js'

export { faultCases, firewallCases }

export interface FaultTestsOptions {
  /** For these tests alone, which break it; without a server all are skipped. */
  readonly server: TestServer | undefined
  /** For cases that restart it and look for what it had acknowledged. @default server */
  readonly durable?: TestServer | undefined
  /** Opens a store on a client of its own. */
  readonly open: OpenStore
  /** Has the server end the connections of everybody. */
  endConnections?(url: string): Promise<void>
  readonly capabilities: readonly Capability[]
}

/** The tests of every database store on a server that fails or is slow. */
export function faultTests(test: TestFn, options: FaultTestsOptions): void {
  const { server, durable = server, open, endConnections, capabilities } = options
  if (!server || !durable) {
    test.skip('faults need a server that may be broken', t => t.fail())
    return
  }
  const ends = endConnections && { endConnections }
  const cases = [...faultCases({ open, server, durable, ...ends }), ...slowCases({ open, server, capabilities })]
  // The others mostly wait. All at once would take too many connections.
  const few = fewAtOnce(3)
  for (const { title, isAlone, run } of cases) {
    const declare = isAlone ? test.serial : test
    declare(title, async t => {
      await t.notThrowsAsync(few(run))
    })
  }
}

export interface FirewallTestsOptions {
  /** Without a server all tests are skipped. */
  readonly server: Pick<TestServer, 'url' | 'host' | 'port'> | undefined
  /** Opens a store on a client of its own. */
  readonly open: OpenStore
  /** Opens a store on a client with the settings of the README. */
  readonly openAsInReadme: OpenStore
  /** How long such a client leaves a connection idle before it looks at it, in milliseconds. Cases that wait so long run at once. */
  readonly silence?: number
}

/** The tests of every database store behind a firewall that forgets connections. */
export function firewallTests(test: TestFn, { server, open, openAsInReadme, silence }: FirewallTestsOptions): void {
  const { url, host, port } = server ?? { url: 'none://none', host: '', port: 0 }
  // The calls of a store share the code that finds out about its connection, and the client of the README has no other.
  const methods = isFull ? {} : { methods: ['read', 'write'] }
  const inReadme = { open: openAsInReadme, ...methods, ...(silence !== undefined && { silence }) }
  const declare = server ? test : test.skip
  const few = fewAtOnce(silence === undefined ? 3 : Number.POSITIVE_INFINITY)
  for (const { title, run } of [
    ...firewallCases({ open, server: { url, host, port } }),
    ...firewallCases({ ...inReadme, server: { url, host, port } }).map(({ title, run }) => ({
      title: `with the settings of the README: ${title}`,
      run,
    })),
  ]) {
    declare(title, async t => {
      await t.notThrowsAsync(few(run))
    })
  }
}
