import { behaviourCases } from '@koa-session/behaviour'
import test from 'ava'
import { memoryStore, type Store } from 'koa-session-core'

const worlds = new Map<string, Store>()

/** Memory as several processes see one backend: the same world is the same data, closing ends only the view. */
function create(world: string): Store {
  const backend = worlds.get(world) ?? memoryStore()
  worlds.set(world, backend)
  return { ...backend, close: async () => {} }
}

for (const { title, run } of behaviourCases({ create, shared: true })) {
  // One by one: cases about expiry set the clock of the process.
  test.serial(title, async t => {
    await t.notThrowsAsync(run())
  })
}
