import { Child } from '../harness/child.js'
import { environmentOf, type Place, placeOf } from '../harness/servers.js'
import { median, spread } from '../harness/statistics.js'
import { table } from '../harness/table.js'
import { storages } from '../http/contenders.js'

const rounds = 7
const milliseconds = 250

interface Block {
  readonly rate: number
  readonly cost: number
}

interface Worker {
  readonly child: Child
  readonly syncsPerWrite: number
}

async function start(kind: 'floor' | 'ours', storage: string, place: Place, syncs = 2): Promise<Worker> {
  const env = { ...environmentOf(place), BENCH_SYNCS: String(syncs) }
  const child = new Child(new URL('worker.js', import.meta.url), [kind, storage], { env })
  return { child, ...(await child.answer<{ syncsPerWrite: number }>()) }
}

/** Our stores without the core, beside the plain driver call of the same kind. */
export async function storeCalls(): Promise<string> {
  const rows: string[][] = []
  let syncs = 0
  for (const storage of storages.slice(1)) {
    const place = await placeOf(storage)
    if (place === undefined) continue
    const ours = await start('ours', storage, place)
    if (storage === 'file') syncs = ours.syncsPerWrite
    const floor = await start('floor', storage, place, ours.syncsPerWrite)
    for (const operation of ['read', 'write']) {
      const blocks: { floor: Block; ours: Block }[] = []
      const measure = (child: Child) => child.ask<Block>({ operation, milliseconds })
      for (let round = -2; round < rounds; round++) {
        const block = { floor: await measure(floor.child), ours: await measure(ours.child) }
        // Two rounds warm up.
        if (round >= 0) blocks.push(block)
      }
      rows.push([
        `${storage} ${operation}`,
        median(blocks.map(({ floor }) => floor.rate)).toFixed(0),
        median(blocks.map(({ ours }) => ours.rate)).toFixed(0),
        spread(blocks.map(({ floor, ours }) => ours.rate / floor.rate)),
        median(blocks.map(({ floor }) => floor.cost)).toFixed(1),
        median(blocks.map(({ ours }) => ours.cost)).toFixed(1),
        spread(blocks.map(({ floor, ours }) => ours.cost / floor.cost)),
      ])
    }
    await floor.child.end()
    await ours.child.end()
  }
  const head = ['', 'driver, calls/s', 'store, calls/s', 'rate to driver', 'driver, µs', 'store, µs', 'µs to driver']
  return [
    `64 calls at once, ${rounds} rounds in which driver and store take turns; the median and, in brackets, the quartiles of the ratios`,
    `within a round. µs: processor time of the process that calls. Both do ${syncs} fsyncs per write of a file.`,
    '',
    table(head, rows),
  ].join('\n')
}
