import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { createContext, runInContext } from 'node:vm'
import FakeTimers, { type Clock, type FakeMethod } from '@sinonjs/fake-timers'
import test from 'ava'
import { isSessionError, jsonCodec, memoryStore } from 'koa-session-core'
import { type Handler, site, watched } from './support/app.js'
import { raw } from './support/raw.js'
import { overtaken, signedIn } from './support/signed-in.js'

// Every test here replaces globals of this process, so they run one by one.
const codec = jsonCodec()
const RealDate = Date
const at = 1_800_000_000_000
const hour = 3_600_000

/** Ways in which libraries for tests replace the global Date. */
const clocks: Record<string, () => { Date: DateConstructor; end?: () => void }> = {
  'sinon, jest and vitest': () => {
    const clock = FakeTimers.install({ now: at, toFake: ['Date'] })
    return { Date: globalThis.Date, end: () => clock.uninstall() }
  },
  'a subclass that replaces the prototype of real Dates': () => {
    class MockDate extends RealDate {
      constructor(...args: number[]) {
        super()
        // biome-ignore lint/correctness/noConstructorReturn: this is how vitest's setSystemTime does it.
        return Object.setPrototypeOf(
          args.length === 0 ? new RealDate(at) : new RealDate(args[0] as number),
          MockDate.prototype,
        )
      }
      static override now() {
        return at
      }
      static override toString() {
        return RealDate.toString()
      }
    }
    return { Date: MockDate as unknown as DateConstructor }
  },
  'a function whose instances say that they are made by it': () => {
    function Mock(...args: number[]) {
      const date = args.length === 0 ? new RealDate(at) : new RealDate(args[0] as number)
      Object.setPrototypeOf(date, Mock.prototype)
      date.constructor = Mock
      return date
    }
    Mock.prototype = Object.create(RealDate.prototype)
    Object.setPrototypeOf(Mock, RealDate)
    Mock.now = () => at
    return { Date: Mock as unknown as DateConstructor }
  },
  'a function with the prototype of the real one': () => {
    function Mock(...args: number[]) {
      return args.length === 0 ? new RealDate(at) : new RealDate(args[0] as number)
    }
    Mock.prototype = RealDate.prototype
    Mock.now = () => at
    return { Date: Mock as unknown as DateConstructor }
  },
  'a clock on top of another': () => {
    const clock = FakeTimers.install({ now: at, toFake: ['Date'] })
    const Below = globalThis.Date
    class Above extends Below {
      static override now() {
        return at
      }
    }
    return { Date: Above as DateConstructor, end: () => clock.uninstall() }
  },
}

for (const [title, start] of Object.entries(clocks)) {
  test.serial(`a Date of a faked clock is a Date: ${title}`, t => {
    const { Date: Faked, end } = start()
    globalThis.Date = Faked
    const [made, given] = [new Faked(), new Faked(5)]
    try {
      const text = codec.stringify({ made, given, list: [made] })
      t.is(
        text,
        `~[{"made":1,"given":2,"list":3},["Date","${made.toISOString()}"],["Date","${given.toISOString()}"],[1]]`,
      )
      const back = codec.parse(text) as { made: Date; given: Date }
      t.is(back.given.getTime(), 5)
      t.true(back.given instanceof Faked, 'what is decoded is a Date of the clock that runs')
      t.is(codec.stringify(new RealDate(5)), codec.stringify(given), 'so is a real one')
    } finally {
      end?.()
      globalThis.Date = RealDate
    }
    t.is(codec.stringify(made), codec.stringify(new Date(made.getTime())), 'also after the clock was put back')
    t.true((codec.parse(codec.stringify(made)) as Date) instanceof Date)
  })
}

test.serial('a subclass that an app put in place of the global Date is a Date while it is there', t => {
  const Fixed = class extends RealDate {} as DateConstructor
  const date = new Fixed(5)
  t.throws(() => codec.stringify(date), { message: /an instance of Fixed/ })
  globalThis.Date = Fixed
  try {
    t.is(codec.stringify(date), codec.stringify(new RealDate(5)))
  } finally {
    globalThis.Date = RealDate
  }
})

test.serial('a subclass of Date is refused under a faked clock too, and so is a clock whose Dates can do more', t => {
  const clock = FakeTimers.install({ now: at, toFake: ['Date'] })
  const refused = (kind: string, value: unknown) => {
    const error = t.throws(() => codec.stringify({ a: [value] }))
    t.true(isSessionError(error))
    t.regex(error.message, new RegExp(`an instance of ${kind}, found at a\\[0\\]`))
  }
  try {
    refused('Day', new (class Day extends Date {})())
    refused('Day', new (class Day extends RealDate {})())
    refused(
      'Day',
      new (class Day extends RealDate {
        next() {}
        static override now = RealDate.now
      })(),
    )
    refused(
      'Day',
      new (class Day extends RealDate {
        zone = 'CET'
        static override now = RealDate.now
      })(),
    )
    refused('ClockDate', Object.assign(new Date(), { zone: 'CET' }))
    refused('ClockDate', Object.create(Date.prototype))
  } finally {
    clock.uninstall()
  }
})

test.serial('a Date of a clock that another realm faked is a Date', t => {
  const sandbox = createContext({})
  const clock = FakeTimers.withGlobal(runInContext('globalThis', sandbox)).install({ now: at, toFake: ['Date'] })
  const value: unknown = runInContext('({ now: new Date(), other: new (class Day extends Date {})() })', sandbox)
  clock.uninstall()
  const { now, other } = value as { now: Date; other: Date }
  t.is(codec.stringify(now), codec.stringify(new Date(at)))
  t.throws(() => codec.stringify(other), { message: /an instance of Day/ })
})

/** Fakes what a library can, from here to the end of the test. Sockets need a real `nextTick`. */
function stopTheClock(t: { teardown(end: () => void): void }, toNotFake: FakeMethod[] = ['nextTick']): Clock {
  const clock = FakeTimers.install({ now: Date.now(), toNotFake })
  t.teardown(() => clock.uninstall())
  return clock
}

/** Those that wait in the faked clock. Microtasks of the process's HTTP client may wait there too. */
const timersOf = (clock: Clock): unknown[] => Object.values(clock.timers ?? {})

/** By a socket: the process's `fetch` waits by timers too. */
async function get(url: string, path: string, cookie = ''): Promise<{ status: number; cookie: string; body: string }> {
  const answer = await raw(url, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: ${cookie}\r\n\r\n`)
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  return { status: Number(head.slice(9, 12)), cookie: /^set-cookie: (sid=[^;]+)/im.exec(head)?.[1] ?? cookie, body }
}

test.serial('under fake timers a session works as ever, and no timer of the core is among the faked ones', async t => {
  const { elsewhere, store, browser, url, sessions } = await signedIn(t, {
    '/date': ctx => {
      ctx.session.at = new Date()
      ctx.flash({ at: new Date() })
    },
    '/race': async ctx => {
      ctx.session.b = 1
      overtaken(store, async () => void (await get(elsewhere.url, '/date', cookie)))
      return ctx.session.save()
    },
    '/callback': ctx =>
      new Promise(resolve => {
        ctx.session.c = 1
        ctx.session.save(resolve)
      }).then(error => ({ error })),
    '/read': async ctx => [ctx.session.at.getTime(), ctx.session.b, ctx.session.c, (await ctx.flash()).length],
  })
  const cookie = [...browser.jar].map(pair => pair.join('=')).join()
  const clock = stopTheClock(t)
  t.is((await get(url, '/date', cookie)).status, 204)
  t.is((await get(url, '/race', cookie)).body, 'true')
  t.is((await get(url, '/callback', cookie)).status, 200)
  t.deepEqual(JSON.parse((await get(url, '/read', cookie)).body), [clock.now, 1, 1, 2])
  t.deepEqual(timersOf(clock), [])
  t.is(await sessions.sweep(), 0)
})

test.serial('a session from open() works while even nextTick is faked', async t => {
  const { sessions } = await site(t, () => {})
  const { cookie } = await sessions.create({ a: 1 } as object)
  const clock = stopTheClock(t, [])
  const session = await sessions.open({ headers: { cookie } } as IncomingMessage)
  Object.assign(session ?? {}, { b: new Date() })
  const error = await new Promise(resolve => session?.save(resolve))
  t.is(error, undefined)
  const again = await sessions.open({ headers: { cookie } } as IncomingMessage)
  t.deepEqual({ ...again }, { a: 1, b: new Date(clock.now) } as object)
  t.deepEqual(timersOf(clock), [])
})

test.serial('a session expires by the faked clock', async t => {
  const set: Handler = ctx => {
    ctx.session.a = 1
  }
  const { url } = await site(t, { '/set': set, '/new': ctx => ctx.session.isNew })
  const clock = stopTheClock(t)
  const { cookie } = await get(url, '/set')
  clock.tick(hour - 1)
  t.is((await get(url, '/new', cookie)).body, 'false')
  clock.tick(hour)
  t.is((await get(url, '/new', cookie)).body, 'true')
})

test.serial(
  'storeTimeout is real time: it ends while the clock stands still, and not because the clock is moved',
  async t => {
    const store = watched(memoryStore())
    const { url, errors } = await site(t, ctx => void (ctx.session.a = 1), { store, storeTimeout: 2_000 })
    const clock = stopTheClock(t)
    let begun = () => {}
    let proceed = () => {}
    store.before = () =>
      new Promise<void>(resolve => {
        proceed = resolve
        begun()
      })
    const beginning = new Promise<void>(resolve => {
      begun = resolve
    })
    const moved = get(url, '/')
    await beginning
    clock.tick(24 * hour)
    clock.runAll()
    proceed()
    t.is((await moved).status, 204)
    t.deepEqual(errors, [])
    t.is((await get(url, '/')).status, 503)
    t.deepEqual(
      errors.map(({ code }) => code),
      ['ERR_SESSION_TIMEOUT'],
    )
  },
)

test.serial('failures that were not awaited are reported while the clock stands still', async t => {
  const store = watched(memoryStore())
  let late = (): unknown => undefined
  const { url, app } = await site(
    t,
    ctx => {
      ctx.session.a = 1
      late = () => {
        ctx.session.b = () => {}
        void ctx.session.save()
      }
    },
    { store },
  )
  await get(url, '/')
  stopTheClock(t)
  const reported = once(app, 'error')
  late()
  t.is((await reported)[0].code, 'ERR_SESSION_ENCODE')
})
