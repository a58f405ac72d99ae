import { AssertionError } from 'node:assert'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { isFull } from '@koa-session/behaviour/full'
import { patient } from '@koa-session/behaviour/patience'
import test from 'ava'
import { conformanceCases, type RaceOptions, raceOfProcesses } from 'koa-session-core/testkit'
import { racers } from './support/racers/racers.js'

const root = mkdtempSync(join(tmpdir(), 'koa-session-race-'))
process.env.RACE_WORLDS = root
test.after.always(() => rmSync(root, { recursive: true, force: true }))

/** Processes take the name of their store from the environment, so one race at a time. */
function race(store: string, options: Partial<RaceOptions> = {}): Promise<void> {
  process.env.RACE_STORE = store
  return raceOfProcesses({ module: new URL('support/racers/racers.js', import.meta.url), ...options })
}

/** How many processes this one has started that still run. */
async function children(): Promise<number> {
  // The handle of a process is closed a moment after its exit.
  for (let turn = 0; turn < 3; turn++) await setImmediate()
  return process.getActiveResourcesInfo().filter(kind => kind === 'ProcessWrap').length
}

test.serial('a race of processes resolves for a right store, and leaves no process', async t => {
  await race('right', isFull ? {} : { processes: 2, increments: 25 })
  t.is(await children(), 0)
})

/** Two processes are enough where every process meets the fault, and fewer increments where counting does not. */
const [two, brief] = [{ processes: 2 }, { increments: 25 }]

const caught: [store: string, message: RegExp, options?: Partial<RaceOptions>][] = [
  [
    'no lock at all',
    /^4 processes raised a counter 100 times each, so it is 400. It is \d+: write must check the version/,
  ],
  [
    'no lock for a replacement',
    /^4 processes raised a counter \d+ times each, so it is \d+. It is \d+: write must check/,
  ],
  [
    'no lock for a create',
    /^Exactly one of the processes that create the same session wins. True was answered /,
    brief,
  ],
  [
    'every write is an upsert',
    /^A destroyed session stays gone, whatever other processes write and touch meanwhile/,
    { ...two, ...brief },
  ],
  ['memory', /^Every process reads the writes of every other: a store in the memory of one process does not fit/, two],
  [
    'create throws',
    /^Process \d of 2 should open a store by the module of the race. It failed: Error: no server$/,
    two,
  ],
  [
    'write never wins',
    /^Process \d of 2 should raise a counter. It failed: Error: A write at the version just read wins/,
    two,
  ],
  ['destroy ends its process', /^Process 1 of 2 should destroy a session. It ended with code 7$/, { ...two, ...brief }],
]
for (const [store, message, options] of caught) {
  test.serial(`a race of processes catches: ${store}`, async t => {
    await t.throwsAsync(race(store, options), { instanceOf: AssertionError, message })
    t.is(await children(), 0)
  })
}

/** Each takes its whole time: those that differ by the place only are run with `FULL`. */
const stuck: [store: string, what: string][] = [
  ['read never settles', 'read what another process wrote'],
  ...(isFull
    ? ([
        ['create never settles', 'open a store by the module of the race'],
        ['read keeps its process busy for ever', 'read what another process wrote'],
        ['close never settles', 'close the store'],
      ] as [string, string][])
    : []),
]
for (const [store, what] of stuck) {
  test.serial(`a race of processes ends by itself, and ends its processes: ${store}`, async t => {
    const timeout = patient(10_000)
    const message = new RegExp(
      `^Process \\d of 2 should ${what} within ${timeout} ms, or make progress. It does neither$`,
    )
    await t.throwsAsync(race(store, { ...two, timeout }), { instanceOf: AssertionError, message })
    t.is(await children(), 0)
  })
}

const cases = conformanceCases({ create: racers['no lock at all'] as never, capabilities: ['shared'] })
for (const { title, run } of cases.filter(({ theme }) => isFull || theme === 'races')) {
  test.serial(`what a race is for: a store that does not lock passes in one process: ${title}`, async t => {
    await t.notThrowsAsync(run())
  })
}

test.serial('a module that cannot be loaded, or has no create, is told', async t => {
  const load = (source: string) =>
    raceOfProcesses({ ...two, module: `data:text/javascript,${encodeURIComponent(source)}` })
  await t.throwsAsync(load('export const open = 1'), {
    message: /It failed: TypeError: it has no export create\(world\)$/,
  })
  await t.throwsAsync(load('throw new Error("no driver")'), { message: /It failed: Error: no driver$/ })
  t.is(await children(), 0)
})

test('wrong options of raceOfProcesses are a TypeError naming option and rule', async t => {
  const wrong = (options: object) => t.throwsAsync(raceOfProcesses(options as RaceOptions), { instanceOf: TypeError })
  t.regex(
    (await wrong({ module: './open.js' })).message,
    /^raceOfProcesses\(\): option module must be the URL of a module/,
  )
  const module = new URL('file:///none.js')
  t.regex(
    (await wrong({ module, processes: 1 })).message,
    /option processes must be a whole number from 2 to 64, got 1$/,
  )
  t.regex((await wrong({ module, procs: 4 })).message, /option procs is unknown/)
})
