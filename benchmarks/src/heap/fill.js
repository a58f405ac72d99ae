/** Signs 100,000 visitors in, and tells by how many bytes the heap has grown. */

import { inMemory } from '../in-process/contenders.js'
import { LightClient } from '../in-process/light-request.js'

const [name, count] = process.argv.slice(2)
const handle = (await inMemory(name)).callback()

async function signIn(times) {
  for (let done = 0; done < times; done++) {
    await new LightClient(handle).signIn('/sign-in')
    if (done % 100 === 0) await new Promise(setImmediate)
  }
}

async function heapUsed() {
  for (let pass = 0; pass < 3; pass++) {
    await new Promise(setImmediate)
    globalThis.gc()
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

// Code and caches of the first requests are not the sessions'.
await signIn(1000)
const before = await heapUsed()
await signIn(Number(count) - 1000)
const grown = (await heapUsed()) - before
process.send((grown * Number(count)) / (Number(count) - 1000), () => process.exit())
