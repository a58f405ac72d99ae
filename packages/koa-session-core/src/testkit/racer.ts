import type { SessionRecord, Store } from '../store.js'
import type { Task } from './race.js'

/*
 * One process of a race: `<module> <world>`. It opens a store, does what its parent sends, one task at a time, and answers
 * each. It ends with its parent.
 */

let versions = 0
let lastSign = 0

/** Reports progress to the parent from time to time. */
function progress(): void {
  const now = performance.now()
  if (now - lastSign < 500) return
  lastSign = now
  process.send?.({ sign: true })
}

const record = (data: string): SessionRecord => {
  const now = Date.now()
  return { data, expiresAt: now + 3_600_000, seenAt: now, version: `${process.pid}.${versions++}` }
}

const tasks: { [Name in Task['name']]: (store: Store, task: Extract<Task, { name: Name }>) => Promise<unknown> } = {
  read: async (store, { key }) => (await store.read(key))?.data ?? null,

  destroy: async (store, { key }) => {
    await store.destroy(key)
  },

  close: store => store.close(),

  /** Resolves to the keys whose creation was answered with true. */
  async create(store, { keys, data }) {
    const won: string[] = []
    for (const key of keys) {
      if (await store.write(key, record(data), null)) won.push(key)
      progress()
    }
    return won
  },

  /** Raises a counter by compare-and-set. Resolves to how often another process was faster. */
  async raise(store, { key, times, mostLost }) {
    let lost = 0
    for (let raised = 0; raised < times; ) {
      const read = await store.read(key)
      if (!read) throw new Error('read() returned undefined for a session that is live all the time')
      if (await store.write(key, record(String(Number(read.data) + 1)), read.version)) {
        raised++
        progress()
      } else if (++lost > mostLost) {
        throw new Error(`A write at the version just read wins unless another one won meanwhile. ${lost} have lost`)
      }
    }
    return lost
  },

  /** Writes and touches until the session is gone, or for a while. Resolves to whether it is gone. */
  async outlive(store, { key, milliseconds }) {
    for (const end = performance.now() + milliseconds; performance.now() < end; ) {
      const read = await store.read(key)
      if (!read) return true
      if (await store.write(key, record(read.data), read.version)) progress()
      else await store.touch(key, { seenAt: 1, expiresAt: read.expiresAt }, read.version)
    }
    return false
  },
}

// A store that never yields receives no messages, not even that the parent is gone.
process.on('disconnect', () => process.exit())

const [module = '', world = ''] = process.argv.slice(2)
let opening: Promise<Store> | undefined

process.on('message', async (task: Task | { name: 'open' }) => {
  try {
    if (task.name === 'open') {
      opening = import(module).then((imported: { create?: unknown }) => {
        const { create } = imported
        if (typeof create !== 'function') throw new TypeError('it has no export create(world)')
        return create(world)
      })
      await opening
      process.send?.({})
      return
    }
    const run = tasks[task.name] as (store: Store, task: Task) => Promise<unknown>
    process.send?.({ value: await run((await opening) as Store, task) })
  } catch (error) {
    process.send?.({ error: String(error).slice(0, 300) })
  }
})
