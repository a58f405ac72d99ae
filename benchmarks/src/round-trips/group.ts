import { isDatabase, placeOf } from '../harness/servers.js'
import { table } from '../harness/table.js'
import { expressSession, floors, ours } from '../http/contenders.js'
import { start } from '../http/running.js'
import { Visitor } from '../http/visitor.js'
import { CountingProxy } from './counting-proxy.js'

const requests = 30

const actions = ['/anonymous', '/untouched', '/read', '/write', '/sign-in', '/sign-out'] as const

/** How often one request waits for the server of its store. */
export async function roundTrips(): Promise<string> {
  const rows: string[][] = []
  const contenders = [...floors, ...ours, ...expressSession].filter(({ storage }) => isDatabase(storage))
  for (const contender of contenders) {
    const place = await placeOf(contender.storage)
    if (place === undefined) continue
    const proxy = new CountingProxy(place.url)
    const server = await start(contender, { BENCH_URL: await proxy.listen() })
    if (server === undefined) continue
    const row = [contender.title]
    for (const path of actions) {
      // A floor has no way to end a session.
      if (path === '/sign-out' && contender.library === 'floor') {
        row.push('')
        continue
      }
      let trips = 0
      for (let request = 0; request < requests; request++) {
        const visitor = new Visitor(server.url)
        if (path !== '/anonymous' && path !== '/sign-in') await visitor.signIn()
        const before = proxy.trips
        const { status, body } = await visitor.get(path)
        if (status !== 200) throw new Error(`${contender.title}: ${path} answered ${status}: ${body}`)
        trips += proxy.trips - before
      }
      row.push((trips / requests).toFixed(1))
    }
    rows.push(row)
    await server.child.end()
    proxy.close()
  }
  return [
    `Counted by a proxy before the server: bursts of commands that had to wait for an answer, per request, over ${requests} requests one after`,
    'the other. Fractions are heartbeats of a driver, and new connections.',
    '',
    table(['', 'anonymous', 'untouched', 'read', 'write', 'sign in', 'sign out'], rows),
  ].join('\n')
}
