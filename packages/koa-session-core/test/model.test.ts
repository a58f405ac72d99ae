import { deepEqual } from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import {
  type CreateStore,
  plans,
  predict,
  runPlan,
  samplePlans,
  sharedMemory,
  storePlans,
} from '@koa-session/behaviour/plans'
import test from 'ava'
import fc from 'fast-check'
import { type EnumerableStore, memoryStore, type SessionRecord, type Store } from 'koa-session-core'
import { runs } from './support/runs.js'

test.serial('every overlapping request sees what a simple serial model predicts', async t => {
  const property = fc.asyncProperty(plans, async plan => deepEqual(await runPlan(plan, sharedMemory()), predict(plan)))
  await t.notThrowsAsync(fc.assert(property, { numRuns: runs(250), includeErrorInReport: true }))
})

test.serial('the plans of every store show on the memory store what the model predicts', async t => {
  for (const plan of storePlans()) t.deepEqual(await runPlan(plan, sharedMemory()), predict(plan))
})

test.serial('replies that are lost change nothing that is seen', async t => {
  for (const plan of samplePlans(11, runs(120))) {
    const backend = memoryStore()
    let writes = 0
    const write: typeof backend.write = async (...call) => {
      const won = await backend.write(...call)
      if (++writes % 3 === 0) throw new Error('the reply was lost')
      return won
    }
    const create: CreateStore = () => ({ ...backend, write, close: async () => {} })
    t.deepEqual(await runPlan(plan, create), predict(plan))
  }
})

test.serial('a plan is the same, and shows the same, whenever it is run', async t => {
  const seen = async () => {
    const all: unknown[] = []
    for (const plan of samplePlans(7, 10)) all.push(await runPlan(plan, sharedMemory()))
    return all
  }
  const first = await seen()
  t.true(first.flat().length > 100)
  t.deepEqual(await seen(), first)
})

/** A fault: members that replace those of a correct store. Each app has its own store on one backend. */
type Flaw = (store: Store & EnumerableStore) => Partial<EnumerableStore>

const isEnd = ({ expiresAt }: SessionRecord) => expiresAt <= Date.now()
const isTombstone = ({ data }: SessionRecord) => data.startsWith('0;')

const flaws: Record<string, Flaw> = {
  'write takes no heed of the version it expects': store => ({
    write: async (key, record) => store.write(key, record, (await store.read(key))?.version ?? null),
  }),
  'write brings back what is gone': store => ({
    write: async (key, record, expected) => store.write(key, record, (await store.read(key)) ? expected : null),
  }),
  'a write that lost says that it won': store => ({
    write: async (...call) => (await store.write(...call)) || true,
  }),
  'read is one state behind': store => {
    const seen = new Map<string, SessionRecord | undefined>()
    return {
      async read(key) {
        const now = await store.read(key)
        const before = seen.get(key) ?? now
        seen.set(key, now)
        return before
      },
    }
  },
  'an end takes effect only after the next read': store => ({
    async write(key, record, expected) {
      if (!isEnd(record)) return store.write(key, record, expected)
      const isRight = (await store.read(key))?.version === expected
      if (isRight) ending.add(key)
      return isRight
    },
    async read(key) {
      const found = await store.read(key)
      if (ending.delete(key)) await store.destroy(key)
      return found
    },
    destroy: async key => {
      if (!ending.has(key)) await store.destroy(key)
    },
  }),
  'touch brings back what is gone': store => {
    const seen = new Map<string, SessionRecord>()
    return {
      async read(key) {
        const found = await store.read(key)
        if (found) seen.set(key, found)
        return found
      },
      async touch(key, times, expected) {
        const record = seen.get(key)
        if (record && !(await store.read(key))) return store.write(key, { ...record, ...times }, null)
        return store.touch(key, times, expected)
      },
    }
  },
  'touch writes back the whole record it read': store => {
    const seen = new Map<string, SessionRecord>()
    return {
      async read(key) {
        const found = await store.read(key)
        if (found) seen.set(key, found)
        return found
      },
      async touch(key, times) {
        const record = seen.get(key)
        const now = await store.read(key)
        if (!record || !now) return false
        await store.destroy(key)
        return store.write(key, { ...record, ...times }, null)
      },
    }
  },
  'touch moves nothing': () => ({ touch: async () => true }),
  'a write does not move the expiry': store => ({
    async write(key, record, expected) {
      const expiresAt = expected !== null && !isEnd(record) && (await store.read(key))?.expiresAt
      return store.write(key, expiresAt ? { ...record, expiresAt } : record, expected)
    },
  }),
  'a tombstone is not kept': store => ({
    write: (key, record, expected) =>
      store.write(key, isTombstone(record) ? { ...record, expiresAt: Date.now() } : record, expected),
  }),
  'a tombstone stays for ever': store => ({
    write: (key, record, expected) =>
      store.write(key, isTombstone(record) ? { ...record, expiresAt: Date.now() + 1e9 } : record, expected),
  }),
  'the subject is lost': store => ({
    write: (key, { subject, ...record }, expected) => store.write(key, record, expected),
  }),
}
const ending = new Set<string>()

for (const [name, flaw] of Object.entries(flaws)) {
  test.serial(`the model catches a store in which ${name}`, async t => {
    t.true(await isCaught(flaw))
  })
}

async function isCaught(flaw: Flaw): Promise<boolean> {
  for (const plan of samplePlans(5, 300)) {
    const backend = memoryStore()
    const create: CreateStore = () => ({ ...backend, ...flaw(backend), close: async () => {} })
    if (!isDeepStrictEqual(await runPlan(plan, create), predict(plan))) return true
  }
  return false
}
