/**
 * Bare Koa and Koa with a session, side by side: requests per second, and processor time of the server per request, which
 * other processes on the machine disturb less. Rounds alternate between the servers, so that noise meets all alike, and
 * each figure is the median round as a ratio to bare Koa.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import autocannon from 'autocannon'

const rounds = Number(process.env.ROUNDS ?? 7)
const seconds = Number(process.env.SECONDS ?? 2)

interface Contender {
  readonly title: string
  readonly server: string
  readonly path: string
  readonly rates: number[]
  readonly costs: number[]
}

const contenders: Contender[] = [
  { title: 'bare Koa', server: 'koa', path: '/', rates: [], costs: [] },
  { title: 'session mounted, no cookie, not opened', server: 'untouched', path: '/', rates: [], costs: [] },
  { title: 'session read', server: 'session', path: '/', rates: [], costs: [] },
  { title: 'session written', server: 'session', path: '/write', rates: [], costs: [] },
  { title: 'koa-session, session read', server: 'koa-session', path: '/', rates: [], costs: [] },
  { title: 'koa-session, session written', server: 'koa-session', path: '/write', rates: [], costs: [] },
]

interface Running {
  readonly child: ChildProcess
  readonly url: string
  readonly cookie: string
}

async function start(kind: string): Promise<Running> {
  const child = fork(new URL('server.js', import.meta.url), [kind], { execArgv: [] })
  const [port] = await once(child, 'message')
  const url = `http://127.0.0.1:${port}`
  const response = await fetch(`${url}/sign-in`)
  const cookie = response.headers.getSetCookie().map(header => header.split(';', 1)[0])
  return { child, url, cookie: cookie.join('; ') }
}

/** What a server's process has used so far, in microseconds. */
async function cpuTime(child: ChildProcess): Promise<number> {
  const answer = once(child, 'message')
  child.send('processor time')
  return (await answer)[0]
}

const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

const servers = new Map<string, Running>()
for (const { server } of contenders) if (!servers.has(server)) servers.set(server, await start(server))

for (let round = -1; round < rounds; round++) {
  for (const { server, path, rates, costs } of contenders) {
    const { child, url, cookie } = servers.get(server) as Running
    const headers = cookie === '' ? {} : { cookie }
    const duration = round < 0 ? 1 : seconds
    const before = await cpuTime(child)
    const result = await autocannon({ url: url + path, connections: 20, duration, headers })
    if (result.non2xx > 0 || result.errors > 0)
      throw new Error(`${server}${path} failed ${result.non2xx + result.errors} times`)
    // The round before the first one warms up.
    if (round < 0) continue
    rates.push(result.requests.average)
    costs.push(((await cpuTime(child)) - before) / result.requests.total)
  }
}
for (const { child } of servers.values()) child.disconnect()

const [bare] = contenders
if (bare) {
  for (const { title, rates, costs } of contenders) {
    const [rate, cost] = [median(rates), median(costs)]
    const faster = (rate / median(bare.rates)).toFixed(2)
    const dearer = (cost / median(bare.costs)).toFixed(2)
    console.log(
      `${title.padEnd(42)} ${rate.toFixed(0).padStart(7)} requests/s (${faster})   ${cost.toFixed(1)} µs of processor (${dearer})`,
    )
  }
}
