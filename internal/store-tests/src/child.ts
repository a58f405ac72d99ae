import { AsyncLocalStorage } from 'node:async_hooks'
import { createInterface } from 'node:readline'
import type { OpenStore, TestedStore } from './tested-store.js'

/*
 * A process of its own, driven over its standard input: each line is one call as JSON, and is answered by one line with
 * what it resolved to. Calls run side by side. When its input ends it closes its stores, and then has to end by itself.
 */
type Call = { id: number; world: string; method: string; args: unknown[]; now: number }

// The clock of a call is its caller's, which a case may have put ahead.
const ahead = new AsyncLocalStorage<number>()
const systemNow = Date.now
Date.now = () => systemNow() + (ahead.getStore() ?? 0)

const [module = '', url = ''] = process.argv.slice(2)
const { open } = (await import(module)) as { open: OpenStore }
const stores = new Map<string, TestedStore>()

function storeOn(world: string): TestedStore {
  const store = stores.get(world) ?? open(url, world)
  stores.set(world, store)
  return store
}

/** Tasks for this process besides the methods of a store. */
const tasks: Record<string, (store: TestedStore, ...args: never[]) => Promise<unknown>> = {
  async keys(store, options: { subject?: string }) {
    const keys: string[] = []
    for await (const key of store.keys(options)) keys.push(key)
    return keys
  },
}

function callMethod(store: TestedStore, method: string, args: unknown[]): Promise<unknown> {
  const methods = store as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
  return methods[method]?.(...args) ?? Promise.reject(new Error(`no method ${method}`))
}

const input = createInterface({ input: process.stdin })

input.on('line', async line => {
  const { id, world, method, args, now } = JSON.parse(line) as Call
  try {
    const store = storeOn(world)
    const run = () => (tasks[method] ? tasks[method](store, ...(args as never[])) : callMethod(store, method, args))
    const value = await ahead.run(Math.round((now - systemNow()) / 60_000) * 60_000, run)
    process.stdout.write(`${JSON.stringify({ id, value })}\n`)
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ id, error: String(error) })}\n`)
  }
})

input.on('close', async () => {
  await Promise.all([...stores.values()].map(store => store.close()))
})
