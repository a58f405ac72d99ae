import type { Store } from '../store.js'
import { Progress } from './race-progress.js'
import { BrokenRule } from './race-records.js'
import { type Run, type Task, tasks } from './racer-tasks.js'

/*
 * One process of a race: `<module> <world> <rank> <size>`. It opens a store, does what its parent sends, one task at a time,
 * and answers each. It ends with its parent.
 */

// A store that never yields receives no messages, not even that the parent is gone.
process.on('disconnect', () => process.exit())

const [module = '', world = '', rank, size] = process.argv.slice(2)
const place = { rank: Number(rank), size: Number(size) }
let opening: Promise<Store> | undefined
let progress: Progress | undefined

async function open(): Promise<Store> {
  const { create } = (await import(module)) as { create?: unknown }
  if (typeof create !== 'function') throw new TypeError('it has no export create(world)')
  return create(world)
}

process.on('message', async (task: Task | 'stop') => {
  if (task === 'stop') {
    if (progress) progress.isStopped = true
    return
  }
  progress = new Progress(met => process.send?.({ met }))
  try {
    if (task.name === 'open') {
      opening = open()
      await opening
      process.send?.({})
      return
    }
    const run = tasks[task.name] as Run<Task>
    process.send?.({ value: await run((await opening) as Store, task, progress, place) })
  } catch (error) {
    process.send?.(error instanceof BrokenRule ? { broken: error.message } : { error: String(error).slice(0, 300) })
  }
})
