/**
 * Store calls alone, 64 at once, in a process of its own: ours and the plain driver call of the same storage. Each question
 * asks for one block, and the answer is its rate and its processor time per call.
 */
import { hash, randomBytes } from 'node:crypto'
import { backends } from '../apps/floor-backends.js'
import { stores } from '../apps/our-stores.js'
import { smallSession } from '../apps/sessions.js'
import { countSyncs } from './syncs.js'

const syncs = await countSyncs()
const [kind, storage] = process.argv.slice(2)
const place = {
  url: process.env.BENCH_URL,
  folder: process.env.BENCH_FOLDER,
  folderSyncs: Number(process.env.BENCH_SYNCS || 2) - 1,
}
const parallel = 64
const keys = Array.from({ length: parallel }, (_, index) => hash('sha256', `${kind} ${storage} ${index}`))
/** Each write changes the data: MySQL does almost nothing for an update that changes nothing. */
const session = smallSession()
let count = 0
const newData = () => JSON.stringify({ ...session, count: ++count })
const hour = 3_600_000

const newVersion = () => `${randomBytes(12).toString('base64url')}.${process.hrtime.bigint().toString(36)}`

/** A call as the core gives it: the signal is made for a store that reads it. */
class Call {
  #controller
  get signal() {
    this.#controller ??= new AbortController()
    return this.#controller.signal
  }
  onAbort() {
    return () => {}
  }
}

async function ofOurs() {
  const store = await stores[storage](place)
  const versions = new Map()
  const write = async key => {
    const now = Date.now()
    const version = newVersion()
    const record = { data: newData(), expiresAt: now + hour, seenAt: now, version }
    if (!(await store.write(key, record, versions.get(key) ?? null, new Call()))) throw new Error('a write was lost')
    versions.set(key, version)
  }
  for (const key of keys) await store.destroy(key)
  return { read: key => store.read(key, new Call()), write }
}

async function ofFloor() {
  const backend = await backends[storage](place)
  return { read: key => backend.read(key), write: key => backend.write(key, newData()) }
}

const calls = kind === 'ours' ? await ofOurs() : await ofFloor()
await calls.write(keys[0])
const first = syncs()
await calls.write(keys[0])
const syncsPerWrite = syncs() - first
for (const key of keys) await calls.write(key)
const text = await calls.read(keys[0])
if (JSON.parse(text?.data ?? text).count !== count - keys.length + 1)
  throw new Error(`${kind} ${storage}: a read gave other data`)

async function block(operation, milliseconds) {
  const run = calls[operation]
  const begun = performance.now()
  const before = process.cpuUsage()
  let count = 0
  const one = async key => {
    while (performance.now() - begun < milliseconds) {
      await run(key)
      count++
    }
  }
  await Promise.all(keys.map(one))
  const { user, system } = process.cpuUsage(before)
  return { rate: (count / (performance.now() - begun)) * 1000, cost: (user + system) / count }
}

process.on('message', async ({ operation, milliseconds }) => process.send(await block(operation, milliseconds)))
process.on('disconnect', () => process.exit())
process.send({ syncsPerWrite })
