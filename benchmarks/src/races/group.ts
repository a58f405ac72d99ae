import { setTimeout as wait } from 'node:timers/promises'
import { table } from '../harness/table.js'
import { expressSession, fastifySession, type HttpContender, koaSession, ours } from '../http/contenders.js'
import { type Running, start } from '../http/running.js'
import { Visitor } from '../http/visitor.js'

const writers = 50
const logouts = 20

/** Keys that 50 parallel requests on one session leave of the 50 they set, and how many of them failed. */
async function parallelWriters(urls: readonly string[]) {
  const [first = ''] = urls
  const visitor = await new Visitor(first).signIn()
  // Each browser request carries the cookie of before, and the browser keeps the last one it got.
  const requests = Array.from({ length: writers }, async (_, index) => {
    const url = urls[index % urls.length] as string
    const own = new Visitor(url, visitor.cookie)
    const { status } = await own.get(`/slow-set?key=key${index}&ms=${(index * 7) % 20}`)
    return { status, cookie: own.cookie }
  })
  let last = visitor.cookie
  const statuses: number[] = []
  for (const request of requests) {
    request.then(({ status, cookie }) => {
      statuses.push(status)
      last = cookie
    })
  }
  await Promise.all(requests)
  const { body } = await new Visitor(first, last).get('/keys-set')
  return { kept: body.keys as number, failed: statuses.filter(status => status !== 200).length }
}

/** Sessions that answer again under their old cookie, after a logout that overtook a slow request. */
async function aliveAfterLogout(url: string): Promise<number> {
  const results = Array.from({ length: logouts }, async () => {
    const visitor = await new Visitor(url).signIn()
    const before = visitor.cookie
    const slow = new Visitor(url, before).get('/slow-set?key=key1&ms=300')
    await wait(100)
    await visitor.get('/sign-out')
    await slow
    return (await new Visitor(url, before).get('/read')).body.userId === 123456
  })
  return (await Promise.all(results)).filter(Boolean).length
}

interface Events {
  readonly conflict?: number
  readonly read?: number
  readonly write?: number
}

/** Counts the changes that parallel requests on one session lose, in one process and, if processes can share the store, in two. */
export async function races(): Promise<string> {
  const rows: string[][] = []
  const withEvents = { BENCH_EVENTS: '1' }
  async function row(contender: HttpContender): Promise<void> {
    const one = await start(contender)
    if (one === undefined) return
    const { kept, failed } = await parallelWriters([one.url])
    const alive = await aliveAfterLogout(one.url)
    await one.child.end()
    rows.push([contender.title, `${kept} of ${writers}`, String(failed), `${alive} of ${logouts}`])
  }
  for (const contender of [...ours, ...koaSession, ...expressSession, ...fastifySession]) await row(contender)

  const shared: string[][] = []
  for (const contender of [...ours, ...expressSession].filter(({ storage }) => storage !== 'memory')) {
    const servers: Running[] = []
    for (let process = 0; process < 2; process++) {
      const server = await start(contender, contender.library === 'ours' ? withEvents : {})
      if (server) servers.push(server)
    }
    if (servers.length < 2) continue
    const [first, second] = servers as [Running, Running]
    const { kept, failed } = await parallelWriters([first.url, second.url])
    const events: Events[] = []
    if (contender.library === 'ours') for (const { child } of servers) events.push(await child.ask<Events>('events'))
    const conflicts = events.reduce((sum, { conflict = 0 }) => sum + conflict, 0)
    shared.push([contender.title, `${kept} of ${writers}`, String(failed), events.length > 0 ? String(conflicts) : ''])
    for (const { child } of servers) await child.end()
  }
  return [
    `${writers} parallel requests on one session, each setting a key of its own: how many keys are there afterwards, and how many requests`,
    `failed. And ${logouts} sessions whose logout overtakes a slow request: how many answer again under the old cookie.`,
    '',
    table(['one process', 'keys kept', 'failed', 'alive after logout'], rows),
    '',
    'Two processes with 25 of the requests each. Retries are writes that met the write of another process and were repeated.',
    '',
    table(['two processes', 'keys kept', 'failed', 'retries'], shared),
  ].join('\n')
}
