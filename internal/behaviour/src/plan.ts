import fc from 'fast-check'

/** Data of a session in a plan. */
export type Data = Record<string, any>

/** The actions of a handler. Those that may be held call the store themselves. */
export type Step =
  | { readonly do: 'look' | 'clear' | 'null' | 'take' | 'save' | 'rotate' | 'regenerate' | 'destroy' | 'touch' }
  | { readonly do: 'set' | 'nest'; readonly key: string; readonly value: string | number }
  | { readonly do: 'delete'; readonly key: string }
  /** By `update`: often nothing is there to remove, or only what the request has not stored. */
  | { readonly do: 'remove'; readonly key: string }
  | { readonly do: 'replace'; readonly data: Data }
  | { readonly do: 'maxAge'; readonly maxAge: 'session' | number }
  | { readonly do: 'queue'; readonly message: string }
  | { readonly do: 'update'; readonly by: string }

/**
 * One thing that happens. Each client has at most one request at a time and an app of its own, as in a process of its
 * own; all share the store. `hold` keeps the write that decides (of `begin`: the touch) from reaching the store until
 * `release`: in between others act, and what is held takes effect at `release`.
 */
export type Action =
  /** A request with the cookie of `browser`, or with the one it had `back` cookies ago. */
  | {
      readonly kind: 'begin'
      readonly client: number
      readonly browser: number
      readonly back: number
      readonly hold: boolean
    }
  | { readonly kind: 'step'; readonly client: number; readonly step: Step; readonly hold: boolean }
  | { readonly kind: 'end'; readonly client: number; readonly status: 200 | 401 | 500; readonly hold: boolean }
  | { readonly kind: 'release'; readonly client: number }
  | { readonly kind: 'wait'; readonly seconds: number }
  | { readonly kind: 'list'; readonly user: string }
  | { readonly kind: 'revokeAll'; readonly user: string }

/** The steps of all clients, one after the other: the steps of overlapping requests are mixed. */
export interface Plan {
  readonly clients: number
  readonly actions: readonly Action[]
}

/** The times of sessions in plans, in seconds. */
export const times = { idle: 600, absolute: 1_800, touch: 60, tombstone: 60 } as const

/** How long a request lasts at most, in seconds: a session must not be over before it is first stored. */
const longestRequest = times.absolute - 600

/** Change data as an app does, in place. */
export function edit(data: Data, step: Step): void {
  if (step.do === 'set') data[step.key] = step.value
  else if (step.do === 'delete' || step.do === 'remove') delete data[step.key]
  else if (step.do === 'update') {
    data.n = typeof data.n === 'number' ? data.n + 1 : 1
    // No two updates leave the same data, so that each is a change.
    data.by = step.by
    if (Array.isArray(data.all)) data.all.push(step.by)
    else data.all = [step.by]
  } else if (step.do === 'nest') {
    if (Array.isArray(data[step.key]?.list)) data[step.key].list.push(step.value)
    else data[step.key] = { list: [step.value] }
  }
}

const users = fc.constantFrom('ann', 'bob')
const keys = fc.constantFrom('a', 'b', 'n')
const values = fc.oneof(fc.integer({ min: 1, max: 3 }), fc.constantFrom('x', 'y'))
const held = fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) })

const plainSteps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('set'), key: keys, value: values }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('set'), key: fc.constant('user'), value: users }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete'), key: fc.oneof(keys, fc.constant('user')) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('nest'), key: keys, value: values }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('replace'), data: fc.dictionary(keys, values) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('maxAge'), maxAge: fc.constantFrom('session', 300, 3_600) }),
  },
  { weight: 3, arbitrary: fc.constant({ do: 'queue', message: '' }) },
  { weight: 7, arbitrary: fc.constant({ do: 'look' }) },
  { weight: 2, arbitrary: fc.constant({ do: 'touch' }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('clear', 'null') }) },
) as fc.Arbitrary<Step>

const storingSteps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ do: 'take' }) },
  { weight: 2, arbitrary: fc.constant({ do: 'save' }) },
  { weight: 3, arbitrary: fc.constant({ do: 'update', by: '' }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('remove'), key: fc.oneof(keys, fc.constant('user')) }) },
  { weight: 2, arbitrary: fc.constant({ do: 'rotate' }) },
  { weight: 2, arbitrary: fc.constant({ do: 'regenerate' }) },
  { weight: 2, arbitrary: fc.constant({ do: 'destroy' }) },
) as fc.Arbitrary<Step>

const clients = fc.nat({ max: 3 })
const browsers = fc.oneof({ weight: 5, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(1) })
const backs = fc.oneof(
  { weight: 4, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 2 }) },
)

const action = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('begin'), client: clients, browser: browsers, back: backs, hold: held }),
  },
  {
    weight: 7,
    arbitrary: fc.record({ kind: fc.constant('step'), client: clients, step: plainSteps, hold: fc.constant(false) }),
  },
  { weight: 7, arbitrary: fc.record({ kind: fc.constant('step'), client: clients, step: storingSteps, hold: held }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('end'),
      client: clients,
      status: fc.constantFrom(200, 200, 200, 401, 500),
      hold: held,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('release'), client: clients }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait'), seconds: fc.constantFrom(1, 30, 60, 61, 300, 600) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('list', 'revokeAll'), user: users }) },
) as fc.Arbitrary<Action>

const step = (client: number, step: Step): Action => ({ kind: 'step', client, step, hold: false })
const end = (client: number): Action => ({ kind: 'end', client, status: 200, hold: false })
const begin = (client: number, hold = false): Action => ({ kind: 'begin', client, browser: 0, back: 0, hold })

const unsaved: readonly Step[] = [
  { do: 'set', key: 'a', value: 'unsaved' },
  { do: 'maxAge', maxAge: 300 },
]

/** Sequences that random actions seldom reach, because the interesting moment needs several in a row. */
const scenes: fc.Arbitrary<Action[]> = fc.oneof(
  // A step, and what the handler sees after it.
  fc.tuple(clients, storingSteps).map(([client, storing]) => [step(client, storing), step(client, { do: 'look' })]),
  // Two requests find a session idle; one of them acts and is answered before the other has touched it.
  fc
    .tuple(clients, storingSteps, fc.constantFrom(60, 61, 300))
    .map(([late, storing, seconds]): Action[] => [
      { kind: 'wait', seconds },
      begin(late, true),
      begin(late + 1),
      step(late + 1, storing),
      end(late + 1),
    ]),
  // A handler that fails: what it did not await is not stored.
  fc
    .tuple(clients, storingSteps, fc.constantFrom(...unsaved))
    .map(([client, storing, change]): Action[] => [
      begin(client),
      step(client, change),
      step(client, storing),
      { kind: 'end', client, status: 500, hold: false },
      step(client, { do: 'look' }),
    ]),
  // A double-clicked login.
  fc.tuple(clients, fc.constantFrom<Step['do']>('regenerate', 'save'), users).map(([client, how, user]) => {
    const login = (client: number) => [
      step(client, { do: how } as Step),
      step(client, { do: 'set', key: 'user', value: user }),
      end(client),
    ]
    return [begin(client), begin(client + 1), ...login(client), ...login(client + 1)]
  }),
)

const actions = fc
  .array(fc.oneof({ weight: 8, arbitrary: action.map(one => [one]) }, { weight: 1, arbitrary: scenes }), {
    minLength: 6,
    maxLength: 36,
    size: 'max',
  })
  .map(parts => parts.flat())

/** Random plans. What they begin with is there, so that later actions meet a session with data, a user, a message. */
export const plans: fc.Arbitrary<Plan> = fc
  .record({
    clients: fc.integer({ min: 2, max: 4 }),
    first: fc.subarray<Step>([
      { do: 'set', key: 'a', value: 1 },
      { do: 'queue', message: '' },
      { do: 'set', key: 'user', value: 'ann' },
    ]),
    remember: fc.constantFrom<('session' | number)[]>('session', 'session', 300, 3_600),
    actions,
  })
  .map(({ clients, first, remember, actions }) => {
    const opening = [...first, { do: 'maxAge', maxAge: remember } as const].map(one => step(0, one))
    return { clients, actions: possible(clients, [...opening, end(0), ...actions]) }
  })

/** The same `count` plans for the same `seed`. */
export function samplePlans(seed: number, count: number): Plan[] {
  return fc.sample(plans, { seed, numRuns: count })
}

/** The plan that does `wanted`, with what it takes between: requests that begin before they act, end, and are let go. */
function possible(clients: number, wanted: readonly Action[]): Action[] {
  const done: Action[] = []
  /** Of each client's request: how long it lasts, whether its touch or its step waits. */
  const open = new Map<number, { seconds: number; touch: boolean; step: boolean; ending: boolean }>()
  const seen = new Set([0])
  let serial = 0

  const release = (client: number) => {
    const request = open.get(client)
    if (!request?.touch && !request?.step) return
    done.push({ kind: 'release', client })
    if (request.ending) open.delete(client)
    Object.assign(request, { touch: false, step: false })
  }
  const begin = (client: number, browser: number, back: number, hold: boolean) => {
    done.push({ kind: 'begin', client, browser, back, hold })
    open.set(client, { seconds: 0, touch: hold, step: false, ending: false })
    seen.add(browser)
  }
  const end = (client: number, status: 200 | 401 | 500 = 200, hold = false) => {
    // The answer waits for the touch.
    release(client)
    const request = open.get(client)
    if (!request) return
    done.push({ kind: 'end', client, status, hold })
    if (hold) Object.assign(request, { step: true, ending: true })
    else open.delete(client)
  }

  for (const action of wanted) {
    if (action.kind === 'list' || action.kind === 'revokeAll' || action.kind === 'wait') {
      for (const client of [...open.keys()]) release(client)
      if (action.kind === 'wait') {
        for (const [client, request] of [...open]) {
          request.seconds += action.seconds
          if (request.seconds > longestRequest) end(client)
        }
      }
      done.push(action)
      continue
    }
    const client = action.client % clients
    if (action.kind === 'release') release(client)
    else if (action.kind === 'begin') {
      end(client)
      begin(client, action.browser, action.back, action.hold)
    } else {
      if (open.get(client)?.step) release(client)
      if (!open.has(client)) begin(client, 0, 0, false)
      if (action.kind === 'end') end(client, action.status, action.hold)
      else {
        // One thing of a request waits at a time.
        if (action.hold) release(client)
        const step = numbered(action.step, ++serial)
        done.push({ ...action, client, step })
        if (action.hold) Object.assign(open.get(client) as object, { step: true })
      }
    }
  }
  for (const client of [...open.keys()]) end(client)
  for (const browser of seen) {
    begin(0, browser, 0, false)
    for (const what of ['look', 'take'] as const)
      done.push({ kind: 'step', client: 0, step: { do: what }, hold: false })
    end(0)
  }
  return done
}

/** Messages and updates can be told apart. */
function numbered(step: Step, serial: number): Step {
  if (step.do === 'queue') return { ...step, message: `m${serial}` }
  if (step.do === 'update') return { ...step, by: `u${serial}` }
  return step
}
