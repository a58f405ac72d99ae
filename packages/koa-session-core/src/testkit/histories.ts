import { fail } from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { inspect } from 'node:util'
import type { SessionRecord, Store } from '../store.js'
import { linearizable, type Model, type Operation } from './linearizability.js'
import { atOnce, type Case, newKey, pick } from './world.js'

export type StoreAction =
  | { readonly method: 'read' | 'destroy' }
  | { readonly method: 'write'; readonly record: SessionRecord; readonly expected: string | null }
  | {
      readonly method: 'touch'
      readonly times: { readonly seenAt: number; readonly expiresAt: number }
      readonly expected: string
    }

export type StoreAnswer = SessionRecord | boolean | undefined

/** The contract for one key, with a clock that stands still: the times in a history are long past or far ahead. */
export function contractModel(now: number): Model<StoreAction, StoreAnswer> {
  const none = ''
  const stateOf = (record: SessionRecord) => (record.expiresAt > now ? JSON.stringify(record) : none)
  return {
    initial: none,
    apply(state, action) {
      const stored: SessionRecord | undefined = state === none ? undefined : JSON.parse(state)
      switch (action.method) {
        case 'read':
          return { state, result: stored }
        case 'destroy':
          return { state: none, result: undefined }
        case 'touch':
          if (stored?.version !== action.expected) return { state, result: false }
          return { state: stateOf({ ...stored, ...action.times }), result: true }
        case 'write':
          if (stored?.version === action.record.version) return { state, result: true }
          if ((stored?.version ?? null) !== action.expected) return { state, result: false }
          return { state: stateOf(action.record), result: true }
      }
    },
  }
}

type Random = (below: number) => number

/** Random numbers that are the same for the same seed on every machine. */
function randomFrom(seed: string): Random {
  let drawn = 0
  let numbers = Buffer.of()
  return below => {
    const at = (drawn++ * 4) % 32
    if (at === 0) numbers = createHash('sha256').update(`${seed} ${drawn}`).digest()
    return numbers.readUInt32BE(at) % below
  }
}

/** A client's memory of one key: its present and past versions, and the client's last write. */
interface Memory {
  seen: string | null
  readonly past: string[]
  lastWrite: StoreAction | undefined
}

/** Weights of the random calls. */
const kinds = 'read read read write write write touch touch again end destroy'.split(' ')

function nextAction(random: Random, now: number, version: string, { seen, past, lastWrite }: Memory): StoreAction {
  const stale = past.length > 0 && random(4) === 0 ? pick(past, random(past.length)) : seen
  const times = { seenAt: now + random(1_000), expiresAt: now + 3_600_000 + random(1_000) }
  const record = { data: `data of ${version}`, version, ...times, ...(random(2) && { subject: '5'.repeat(64) }) }
  switch (pick(kinds, random(kinds.length))) {
    case 'write':
      return { method: 'write', record, expected: stale }
    case 'touch':
      return { method: 'touch', times: random(8) ? times : { ...times, expiresAt: now - 1 }, expected: stale ?? 'none' }
    case 'again':
      return lastWrite ?? { method: 'write', record, expected: null }
    case 'end':
      return { method: 'write', record: { ...record, expiresAt: now - random(1_000) }, expected: stale }
    case 'destroy':
      return { method: 'destroy' }
    default:
      return { method: 'read' }
  }
}

async function perform(store: Store, key: string, action: StoreAction): Promise<StoreAnswer> {
  switch (action.method) {
    case 'read':
      return store.read(key)
    case 'write':
      return store.write(key, action.record, action.expected)
    case 'touch':
      return store.touch(key, action.times, action.expected)
    case 'destroy':
      // A void method may resolve to anything.
      return void (await store.destroy(key))
  }
}

function remember(memory: Memory, action: StoreAction, answer: StoreAnswer): void {
  if (action.method === 'read') memory.seen = typeof answer === 'object' ? answer.version : null
  if (action.method === 'destroy') memory.seen = null
  if (action.method === 'write') {
    memory.lastWrite = action
    if (answer === true) memory.seen = action.record.version
  }
  if (memory.seen !== null && !memory.past.includes(memory.seen)) memory.past.push(memory.seen)
}

const shown = { breakLength: Number.POSITIVE_INFINITY, maxStringLength: 24 }

function told({ client, call, result, began, ended }: Operation<StoreAction, StoreAnswer>): string {
  const { method, ...args } = call
  return `${began}-${ended} client ${client}: ${method} ${inspect(args, shown)} -> ${inspect(result, shown)}`
}

const clients = 4
const rounds = 16
const actionsOfEach = 10

export const historyCases: Case[] = [
  {
    title: 'random calls of several clients at the same time have one order that explains every answer',
    async run(world) {
      const seed = world.seed ?? randomBytes(6).toString('hex')
      const stores = await world.openSeveral()
      for (let round = 0; round < rounds; round++) {
        const now = Date.now()
        const histories = new Map<string, Operation<StoreAction, StoreAnswer>[]>()
        for (let n = 0; n <= round % 2; n++) histories.set(newKey(), [])
        let clock = 0
        await atOnce(clients, async client => {
          const random = randomFrom(`${seed} ${round} ${client}`)
          const known = [...histories].map(([key, history]) => {
            const memory: Memory = { seen: null, past: [], lastWrite: undefined }
            return { key, history, memory }
          })
          for (let step = 0; step < actionsOfEach; step++) {
            const { key, history, memory } = pick(known, random(known.length))
            const call = nextAction(random, now, `client ${client} step ${step}`, memory)
            // Random pauses keep the clients out of step.
            if (random(3) === 0) await setTimeout(random(3))
            const began = clock++
            const result = await perform(pick(stores, client), key, call)
            history.push({ client, call, result, began, ended: clock++ })
            remember(memory, call, result)
          }
        })
        // Linearizability is local: a history is linearizable if its part for each key is.
        for (const history of histories.values()) {
          if (linearizable(contractModel(now), history)) continue
          const lines = history.toSorted((a, b) => a.began - b.began).map(told)
          fail(`No order of these calls explains every answer (seed: '${seed}')\n${lines.join('\n')}`)
        }
      }
    },
  },
]
