/**
 * One fresh process: microseconds of processor time per request of one contender, for each action. The times of all threads
 * count, so that the collection of garbage does.
 */
import { actions, prepare, verify } from './actions.js'
import { inMemory } from './contenders.js'

const [name, blocks, milliseconds] = process.argv.slice(2)
const app = await inMemory(name)
await verify(app, name === 'koa')

const runs = []
for (const action of Object.keys(actions)) runs.push({ action, run: await prepare(app, action), count: 0, costs: [] })

/** Processor time in microseconds per request. */
async function measure({ run, count }) {
  const before = process.cpuUsage()
  const requests = await run(count)
  const { user, system } = process.cpuUsage(before)
  return (user + system) / requests
}

// Compiles what is hot, with all actions in turn as on a real server, and finds how many requests fill a block.
for (let pass = 0; pass < 3; pass++) {
  for (const each of runs) {
    each.count = each.action === 'read-large' ? 300 : 2000
    each.count = Math.ceil((Number(milliseconds) * 1000) / (await measure(each)))
  }
}
for (let block = 0; block < Number(blocks); block++) {
  for (const each of runs) each.costs.push(await measure(each))
}
process.send(Object.fromEntries(runs.map(({ action, costs }) => [action, costs])), () => process.exit())
