import test from 'ava'
import { memoryStore, type Store } from 'koa-session-core'
import { conformanceCases } from 'koa-session-core/testkit'

for (const { title, run } of conformanceCases({ create: () => memoryStore(), capabilities: ['sweep', 'keys'] })) {
  test(`memory: ${title}`, async t => {
    await run()
    t.pass()
  })
}

/** Memory stores as several processes see one backend: the same world is the same data, closing ends only the view. */
function sharedMemory(): (world: string) => Store {
  const worlds = new Map<string, ReturnType<typeof memoryStore>>()
  return world => {
    const backend = worlds.get(world) ?? memoryStore()
    worlds.set(world, backend)
    return { ...backend, close: async () => {} }
  }
}

for (const { title, run } of conformanceCases({ create: sharedMemory(), capabilities: ['sweep', 'keys', 'shared'] })) {
  test(`shared memory: ${title}`, async t => {
    await run()
    t.pass()
  })
}
