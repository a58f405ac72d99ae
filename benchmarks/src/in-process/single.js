/**
 * One action of one contender for some seconds, for a profiler:
 *
 *     node --cpu-prof benchmarks/src/in-process/single.js ours write 10
 */
import { actions, prepare, verify } from './actions.js'
import { inMemory } from './contenders.js'

const [name = 'ours', action = 'read', seconds = '5'] = process.argv.slice(2)
if (!Object.hasOwn(actions, action)) throw new TypeError(`the action must be one of ${Object.keys(actions).join(', ')}`)

const app = await inMemory(name)
await verify(app, name === 'koa')
const run = await prepare(app, action)
await run(3000)

const end = performance.now() + Number(seconds) * 1000
const before = process.cpuUsage()
let requests = 0
while (performance.now() < end) requests += await run(500)
const { user, system } = process.cpuUsage(before)
console.log(`${name} ${action}: ${((user + system) / requests).toFixed(2)} µs per request, ${requests} requests`)
process.exit()
