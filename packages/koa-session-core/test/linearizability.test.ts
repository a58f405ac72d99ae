import test from 'ava'
import fc from 'fast-check'
import type { SessionRecord } from 'koa-session-core'
import { contractModel, type StoreAction, type StoreAnswer } from '../dist/testkit/histories.js'
import { linearizable, type Model, type Operation } from '../dist/testkit/linearizability.js'
import { runs } from './support/runs.js'

/** `client began-ended`, what was called and what came back. */
type Line<Call, Result> = [client: number, began: number, ended: number, call: Call, result: Result]

const historyOf = <Call, Result>(lines: Line<Call, Result>[]): Operation<Call, Result>[] =>
  lines.map(([client, began, ended, call, result]) => ({ client, began, ended, call, result }))

const now = 1_000
const record = (version: string, fields: Partial<SessionRecord> = {}): SessionRecord => ({
  data: `data of ${version}`,
  expiresAt: now + 60,
  seenAt: now,
  version,
  ...fields,
})
const read: StoreAction = { method: 'read' }
const destroy: StoreAction = { method: 'destroy' }
const write = (version: string, expected: string | null): StoreAction => ({
  method: 'write',
  record: record(version),
  expected,
})
const end = (version: string, expected: string | null): StoreAction => ({
  method: 'write',
  record: record(version, { expiresAt: now }),
  expected,
})
const touch = (expected: string, expiresAt = now + 90): StoreAction => ({
  method: 'touch',
  times: { seenAt: now + 5, expiresAt },
  expected,
})
const touched = (version: string) => record(version, { seenAt: now + 5, expiresAt: now + 90 })

const histories: [title: string, explained: boolean, lines: Line<StoreAction, StoreAnswer>[]][] = [
  ['an empty history is explained', true, []],
  [
    'one call after the other is explained by the contract',
    true,
    [
      [0, 1, 2, read, undefined],
      [0, 3, 4, write('a', null), true],
      [0, 5, 6, write('a', null), true],
      [0, 7, 8, write('b', null), false],
      [0, 9, 10, write('b', 'a'), true],
      [0, 11, 12, write('a', null), false],
      [0, 13, 14, touch('a'), false],
      [0, 15, 16, touch('b'), true],
      [0, 17, 18, write('b', 'a'), true],
      [0, 19, 20, read, touched('b')],
      [0, 21, 22, end('c', 'a'), false],
      [0, 23, 24, end('c', 'b'), true],
      [0, 25, 26, read, undefined],
      [0, 27, 28, write('d', 'c'), false],
      [0, 29, 30, write('d', null), true],
      [0, 31, 32, touch('d', now), true],
      [0, 33, 34, touch('d'), false],
      [0, 35, 36, destroy, undefined],
    ],
  ],
  [
    'calls at the same time may take effect in either order',
    true,
    [
      [0, 1, 8, write('a', null), true],
      [1, 2, 3, read, undefined],
      [1, 4, 5, read, record('a')],
      [2, 6, 7, destroy, undefined],
      [1, 9, 10, read, undefined],
    ],
  ],
  [
    'an order found only by going back is found',
    true,
    [
      [0, 1, 10, destroy, undefined],
      [1, 2, 9, write('a', null), true],
      [2, 3, 8, write('b', null), true],
      [3, 11, 12, read, record('a')],
    ],
  ],
  [
    'two winners at one version have no order',
    false,
    [
      [0, 1, 2, write('a', null), true],
      [0, 3, 6, write('b', 'a'), true],
      [1, 4, 5, write('c', 'a'), true],
    ],
  ],
  [
    'a read of what was replaced before it began has no order',
    false,
    [
      [0, 1, 2, write('a', null), true],
      [0, 3, 4, write('b', 'a'), true],
      [1, 5, 6, read, record('a')],
    ],
  ],
  [
    'new, then old, has no order, even while the write goes on',
    false,
    [
      [0, 1, 2, write('a', null), true],
      [0, 3, 10, write('b', 'a'), true],
      [1, 4, 5, read, record('b')],
      [2, 6, 7, read, record('a')],
    ],
  ],
  [
    'a session back after its destroy has no order',
    false,
    [
      [0, 1, 2, write('a', null), true],
      [1, 3, 4, destroy, undefined],
      [0, 5, 6, touch('a'), false],
      [2, 7, 8, read, record('a')],
    ],
  ],
  [
    'a touch that undid a write has no order',
    false,
    [
      [0, 1, 2, write('a', null), true],
      [0, 3, 8, touch('a'), true],
      [1, 4, 5, write('b', 'a'), true],
      [1, 9, 10, read, touched('a')],
    ],
  ],
  [
    'a writer that lost against nobody has no order',
    false,
    [
      [0, 1, 2, write('a', null), true],
      [0, 3, 4, write('b', 'a'), false],
    ],
  ],
  [
    'a record of two states has no order',
    false,
    [
      [0, 1, 2, write('a', null), true],
      [0, 3, 6, write('b', 'a'), true],
      [1, 4, 5, read, record('b', { data: 'data of a' })],
    ],
  ],
]

for (const [title, explained, lines] of histories) {
  test(title, t => t.is(linearizable(contractModel(now), historyOf(lines)), explained))
}

test('the lines of a history may come in any order', t => {
  const [, , lines] = histories[1] as (typeof histories)[number]
  t.true(linearizable(contractModel(now), historyOf(lines.toReversed())))
})

test('a long history of many clients is decided, explained or not', t => {
  const lines: Line<StoreAction, StoreAnswer>[] = [[0, 0, 1, write('0', null), true]]
  for (let round = 1; round <= 60; round++) {
    for (let client = 0; client < 6; client++) {
      const began = round * 20 + client
      const call = write(`${client === round % 6 ? round : `${round}.${client}`}`, `${round - 1}`)
      lines.push([client, began, began + 10, call, client === round % 6])
    }
  }
  t.true(linearizable(contractModel(now), historyOf(lines)))
  lines.push([0, 5_000, 5_001, read, record('59')])
  t.false(linearizable(contractModel(now), historyOf(lines)))
})

/** A register of one digit, small enough to try every order. */
type Digit = { set: number } | 'get' | { swap: number; from: number }
const register: Model<Digit, number | boolean> = {
  initial: '0',
  apply(state, call) {
    if (call === 'get') return { state, result: Number(state) }
    if ('set' in call) return { state: `${call.set}`, result: true }
    return Number(state) === call.from ? { state: `${call.swap}`, result: true } : { state, result: false }
  },
}

/** The definition word for word: every order, those that keep real time, those that give the results. */
function explainedByBruteForce(history: Operation<Digit, number | boolean>[], state = register.initial): boolean {
  return (
    history.length === 0 ||
    history.some(operation => {
      if (history.some(other => other.ended < operation.began)) return false
      const after = register.apply(state, operation.call)
      const rest = history.filter(other => other !== operation)
      return after.result === operation.result && explainedByBruteForce(rest, after.state)
    })
  )
}

const digit = fc.integer({ min: 0, max: 2 })
const operation = fc.oneof(
  fc.record({ call: fc.constant('get' as const), result: digit }),
  fc.record({ call: fc.record({ set: digit }), result: fc.constant(true) }),
  fc.record({ call: fc.record({ swap: digit, from: digit }), result: fc.boolean() }),
)

/** Up to three clients with up to three calls each, whose beginnings and ends are dealt out in any order. */
const tinyHistory = fc.array(fc.array(operation, { maxLength: 3 }), { minLength: 1, maxLength: 3 }).chain(lanes => {
  const ends = lanes.flatMap((lane, client) => lane.flatMap(() => [client, client]))
  return fc.shuffledSubarray(ends, { minLength: ends.length, maxLength: ends.length }).map(order =>
    lanes.flatMap((lane, client) => {
      const times = order.flatMap((each, time) => (each === client ? [time] : []))
      return lane.map((made, n) => ({
        ...made,
        client,
        began: times[2 * n] as number,
        ended: times[2 * n + 1] as number,
      }))
    }),
  )
})

test('the search agrees with trying every order, on tiny histories of a register', t => {
  const counts = { explained: 0, not: 0 }
  fc.assert(
    fc.property(tinyHistory, history => {
      const expected = explainedByBruteForce(history)
      counts[expected ? 'explained' : 'not']++
      return linearizable(register, history) === expected
    }),
    { numRuns: runs(3_000) },
  )
  t.true(counts.explained > runs(300) && counts.not > runs(300), JSON.stringify(counts))
})
