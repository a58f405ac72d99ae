import { AssertionError } from 'node:assert'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { isFull, processCount } from '@koa-session/behaviour/full'
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
  await race('right', isFull ? {} : { processes: processCount, increments: 25 })
  t.is(await children(), 0)
})

/** Two processes are enough where every process meets the fault. */
const two = { processes: 2 }
/** So many that two of them sweep at once. */
const four = { processes: 4 }

const step = 'in one step of the backend, not of a process$'
const gone = 'A session that has ended stays gone, whatever other processes'
const exactlyOne = `Exactly one of the processes that create the same session wins, and its record stays: write must .* ${step}`
const touched = `(${gone} touch meanwhile|A (write|written record) .*, whatever other processes touch meanwhile): touch must check the version and move the times ${step}`
const swept = 'A session that was created over an expired one stays, whatever other processes sweep and read meanwhile'
const counted = 'sweep counts a session only if it deleted it. Of \\d+ that had expired '
const listed =
  'keys yields a live session under the subject of its record, and under no other: an index must change with the record'

const caught: [store: string, message: string, options?: Partial<RaceOptions>][] = [
  [
    'no lock at all',
    `${processCount} processes raised a counter from 0 to \\d+. It is \\d+: write must check the version .* ${step}`,
  ],
  ['no lock for a create over an expired session', exactlyOne],
  ['every write is an upsert', gone],
  [
    'a write loses to a touch',
    'A write at the stored version wins, .*: write must compare the version and nothing else$',
  ],
  ['no lock for a touch', touched],
  ['no lock for a sweep', `(${swept}: sweep, and all else .*, must check the expiry and delete ${step}|${counted})`],
  ['a sweep counts what another one deleted', counted, four],
  [
    'a read takes two steps',
    'A record has the data, version, subject and times of one write, or the times of one touch: ',
  ],
  ['a write changes the index later', listed],
  ['a destroy changes the index later', listed],
  ['memory', 'Every process reads the writes of every other: a store in the memory of one process does not fit$', two],
  [
    'create throws',
    'Process \\d of 2 should open a store by the module of the race. It failed: Error: no server$',
    two,
  ],
  ['write never wins', 'A write at the stored version wins unless another one won meanwhile$', two],
  ['destroy ends its process', 'Process \\d of 2 should create the same session. It ended with code 7$', two],
  ...(isFull
    ? ([
        ['no lock for a create', exactlyOne],
        ['no lock for a replacement', `${processCount} processes raised a counter from 0 to `],
        ['a replacement deletes and inserts', 'read resolves to the record of a session that is live all the time'],
        ['a touch puts back what a write replaced', touched],
        ['a touch puts back what was destroyed', touched],
        ['a touch puts back what a write ended', touched],
        [
          'a touch loses to a touch',
          'A touch at the stored version is true, whatever other processes touch meanwhile$',
        ],
        ['a destroy loses to a write', gone],
        ['a read deletes what expired', swept],
        ['a sweep changes the index later', `${swept}, and keys yields it: an index must change with the record$`],
        ['keys trusts an index that a destroy reads early', 'keys yields no session that has ended: an index must '],
      ] as [string, string][])
    : []),
]
for (const [store, message, options] of caught) {
  test.serial(`a race of processes catches: ${store}`, async t => {
    // Nearly always in the first race: the machine decides whether processes meet in time.
    let error: unknown
    for (let races = 0; races < 5 && !error; races++) {
      error = await race(store, { processes: processCount, increments: 25, ...options }).catch(error => error)
    }
    t.true(error instanceof AssertionError)
    t.regex((error as Error).message, new RegExp(`^${message}`))
    t.is(await children(), 0)
  })
}

test.serial('a race of processes that rarely met is no proof', async t => {
  const timeout = patient(4_000)
  process.env.RACE_PAUSE = String(timeout / 3)
  await t.throwsAsync(race('write takes long', { ...two, increments: 1, timeout }), {
    instanceOf: AssertionError,
    message:
      /^The processes rarely met, so the race proves nothing. Give it more time by the option timeout. They met \d times instead of 7 when they should raise a counter$/,
  })
  t.is(await children(), 0)
})

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

const cases = conformanceCases({
  create: racers['no lock at all'] as never,
  capabilities: ['sweep', 'keys', 'shared'],
})
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
