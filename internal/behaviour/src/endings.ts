import { deepEqual, equal } from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import type { Answer, Browser } from './browser.js'
import type { Handler, Site } from './site.js'
import { onOneAndTwo, type Stage, type StageCase } from './stage.js'

/** Every way to end the session of `browser` by way of `site`. */
const endings: Record<string, (browser: Browser, site: Site) => Promise<unknown>> = {
  'destroy()': (browser, site) => browser.visit(({ session }) => session.destroy(), { site }),
  '= null': (browser, site) =>
    browser.visit(
      page => {
        page.session = null
      },
      { site },
    ),
  'regenerate()': (browser, site) => browser.visit(({ session }) => session.regenerate(), { site }),
  'revoke(key)': async (browser, site) => {
    const { value } = await browser.send(({ session }) => session.key, { site })
    await site.sessions.revoke(value)
  },
  'revokeAll(subject)': (_, site) => site.sessions.revokeAll('ann'),
}

type Slow = (browser: Browser, site: Site) => Promise<() => Promise<Answer>>

const handler =
  (run: Handler): Slow =>
  browser =>
    browser.begin(run)

/** A request that is kept waiting at its `nth` call of the store. */
const held =
  (operation: 'write' | 'touch', nth: number, run: Handler): Slow =>
  async (browser, site) => {
    const call = site.store.hold(operation, nth)
    const answer = browser.send(run)
    answer.catch(() => {})
    await call.reached
    return () => {
      call.release()
      return answer
    }
  }

/** Operations that begin before the logout and end after it. */
const slow: Record<string, Slow> = {
  'a slow writer': handler(async ({ session }, pause) => {
    session.late = session.mark
    await pause()
  }),
  'a slow save': handler(async ({ session }, pause) => {
    session.late = session.mark
    await pause()
    equal(await session.save(), false, 'save resolves to false: the session was gone')
  }),
  'a slow update': handler(async ({ session }, pause) => {
    await pause()
    const saved = await session.update(data => {
      data.late = data.mark
    })
    equal(saved, false, 'update resolves to false: the session was gone')
  }),
  'a slow replacement': handler(async (page, pause) => {
    page.session = { ...page.session, late: true }
    await pause()
  }),
  'a slow change of maxAge': handler(async ({ session }, pause) => {
    session.maxAge = 60_000
    await pause()
  }),
  'a slow toucher': held('touch', 1, () => {}),
  'a slow rotation': handler(async ({ session }, pause) => {
    session.late = session.mark
    await pause()
    equal(await session.rotateId(), false, 'rotateId resolves to false: the session was gone')
  }),
  'a slow sign-out': handler(async ({ session }, pause) => {
    delete session.user
    await pause()
  }),
  'a slow regenerate': handler(async ({ session }, pause) => {
    session.late = session.mark
    await pause()
    await session.regenerate()
  }),
  'a slow flash reader': handler(async (page, pause) => {
    await pause()
    deepEqual(await page.flash(), [])
  }),
  'a slow flash': handler(async (page, pause) => {
    page.flash('late')
    await pause()
  }),
}

/** Operations that began before the logout, with their record held inside the store. */
const slowInside: Record<string, Slow> = {
  'a slow write': held('write', 1, ({ session }) => {
    session.late = session.mark
  }),
  'a rotation that has made its copy': held('write', 2, ({ session }) => void session.rotateId()),
}

/** Events during a slow logout. */
const meanwhile: Record<string, Handler> = {
  'a change': ({ session }) => {
    session.early = session.mark
  },
  'a rotation': ({ session }) => void session.rotateId(),
  'two rotations': async ({ session }) => {
    await session.rotateId()
    await session.rotateId()
  },
  'a change of subject': ({ session }) => {
    session.user = 'bob'
  },
  'a flash being read': page => page.flash(),
  'another logout': ({ session }) => session.destroy(),
}

/** Nothing of the session is left, and neither the old cookie nor those of `answers` open one. */
async function assertOver(stage: Stage, browser: Browser, answers: Answer[], how: string): Promise<void> {
  deepEqual(await stage.remains(), [], `nothing is stored after ${how}`)
  for (const answer of answers) browser.keep(answer)
  deepEqual(await browser.data(), {}, `the browser holds no session after ${how}`)
}

async function begun(stage: Stage, site: Site): Promise<Browser> {
  const browser = await stage.signedIn(site)
  await browser.visit(page => page.flash('waits'))
  // Long enough for the next request to find the session untouched for a while.
  await setTimeout(3)
  return browser
}

function final(name: string, start: Slow) {
  return async (stage: Stage, one: Site, other: Site): Promise<void> => {
    for (const [how, end] of Object.entries(endings)) {
      const browser = await begun(stage, one)
      const old = browser.copy()
      const finish = await start(old.copy(), one)
      await end(browser, other)
      await assertOver(stage, old, [await finish()], `${how} and then ${name}`)
    }
  }
}

const options = { touchInterval: 0 }

/** Logout is final. */
export const endingCases: StageCase[] = [
  ...Object.entries(slow).flatMap(([name, start]) =>
    onOneAndTwo(`logout is final against ${name}`, final(name, start), options),
  ),

  // Held inside one app, the logout would queue up behind it.
  ...Object.entries(slowInside).flatMap(([name, start]) =>
    onOneAndTwo(`logout is final against ${name}`, final(name, start), options).slice(1),
  ),

  ...Object.entries(meanwhile).flatMap(([name, happens]) =>
    onOneAndTwo(`a slow logout ends the session in spite of ${name}`, async (stage, one, other) => {
      for (const how of ['destroy', 'null', 'regenerate']) {
        const browser = await begun(stage, one)
        const finish = await browser.begin(async (page, pause) => {
          page.session.seen = true
          await pause()
          if (how === 'null') page.session = null
          else await page.session[how]()
        })
        const between = await browser.send(happens, { site: other })
        await assertOver(stage, browser, [between, await finish()], `${name} and then ${how}`)
      }
    }),
  ),

  ...onOneAndTwo('a logout racing changes, rotations and readers leaves nothing alive', async (stage, one, other) => {
    const handlers: Handler[] = [
      ({ session }) => session.destroy(),
      ({ session }) => void session.rotateId(),
      ({ session }) => void (session.late = session.mark),
      page => page.flash(),
      ({ session }) => void session.rotateId(),
      ({ session }) => session.update(data => void (data.n = 1)),
    ]
    for (let round = 0; round < 6; round++) {
      const browser = await begun(stage, one)
      const ask = (_: Handler, n: number) =>
        browser.send(handlers[(n + round) % handlers.length] as Handler, { site: n % 2 ? one : other })
      await Promise.all(handlers.map(ask))
      deepEqual(await stage.remains(), [])
    }
  }),

  {
    title: 'a session gone meanwhile is never created again',
    run: async stage => {
      const site = await stage.site()
      const browser = await stage.signedIn(site)
      const finishes = []
      for (let n = 0; n < 5; n++) {
        const write: Handler = async ({ session }, pause) => {
          session[`k${n}`] = n
          await pause()
        }
        finishes.push(await browser.begin(write))
      }
      await site.sessions.revokeAll('ann')
      const answers = await Promise.all(finishes.map(finish => finish()))
      deepEqual(
        answers.flatMap(({ cookies }) => cookies),
        [],
        'no answer carries a cookie',
      )
      deepEqual(await stage.records(), [])
    },
  },
]
