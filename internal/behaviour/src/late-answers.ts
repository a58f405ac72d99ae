import { deepEqual, equal } from 'node:assert/strict'
import type { Answer, Browser } from './browser.js'
import type { Handler, Site } from './site.js'
import { onOneAndTwo, type Stage, type StageCase } from './stage.js'

/** Actions of a slow request whose answer carries its session's cookie. */
const slow: Record<string, Handler> = {
  'only reads': async ({ session }, pause) => {
    const data = { ...session }
    await pause()
    return data
  },
  'does nothing': (_, pause) => pause(),
  'saved early': async ({ session }, pause) => {
    session.early = true
    equal(await session.save(), true)
    await pause()
  },
  'updated early': async ({ session }, pause) => {
    equal(await session.update(data => void (data.early = true)), true)
    await pause()
  },
  'took a flash early': async (page, pause) => {
    deepEqual(await page.flash(), ['waits'])
    await pause()
  },
  'queued a flash and saved early': async (page, pause) => {
    page.flash('early')
    await page.session.save()
    await pause()
  },
  'changed maxAge and saved early': async ({ session }, pause) => {
    session.maxAge = 7_200_000
    await session.save()
    await pause()
  },
  'rotated early': async ({ session }, pause) => {
    equal(await session.rotateId(), true)
    await pause()
  },
  'rotated early, twice': async ({ session }, pause) => {
    await session.rotateId()
    await session.rotateId()
    await pause()
  },
  'touched early': async ({ session }, pause) => {
    equal(await session.touch(), true)
    await pause()
  },
  'saved early and fails': async (page, pause) => {
    page.session.early = true
    await page.session.save()
    await pause()
    page.throw(401)
  },
  'rotated early and fails': async (page, pause) => {
    await page.session.rotateId()
    await pause()
    page.throw(500)
  },
  'saved early and writes late': async ({ session }, pause) => {
    session.early = true
    await session.save()
    await pause()
    session.late = true
  },
}

const logins: Record<string, Handler> = {
  'regenerate()': async page => {
    await page.session.regenerate()
    page.session.user = 'ann'
  },
  'a change of subject': ({ session }) => {
    session.user = 'ann'
  },
  'an awaited change of subject': async ({ session }) => {
    session.user = 'ann'
    await session.save()
  },
}

const logouts: Record<string, (browser: Browser, site: Site) => Promise<unknown>> = {
  'destroy()': (browser, site) => browser.visit(({ session }) => session.destroy(), { site }),
  '= null': (browser, site) => browser.visit(page => void (page.session = null), { site }),
  'regenerate()': (browser, site) => browser.visit(({ session }) => session.regenerate(), { site }),
}

/** Long enough for a touch to be due, and for the term of a cookie to be another one, in milliseconds. */
const aWhile = 1_100

const persistent = { maxAge: 43_200_000, touchInterval: 0 }

/** A browser whose session has a message that waits. */
async function begun(stage: Stage, site: Site, data: object = {}): Promise<Browser> {
  const browser = await stage.anonymous(site, data)
  await browser.visit(page => page.flash('waits'))
  return browser
}

/** Handlers that fail, after a login has regenerated its session. */
const failures: Record<string, Handler> = {
  'throws 401': page => page.throw(401),
  'throws 500': page => page.throw(500),
  'throws an error': () => {
    throw new Error('wrong password')
  },
  'answers 401': page => {
    page.status = 401
  },
}

const bothOrders = (one: Answer, other: Answer): Answer[][] => [
  [one, other],
  [other, one],
]

/** The cookie of a login is neither replaced nor cleared by an answer that comes late. */
export const lateAnswerCases: StageCase[] = [
  ...Object.entries(slow).flatMap(([what, handler]) =>
    onOneAndTwo(
      `login sticks against a slow request of a persistent session that ${what}`,
      async (stage, one, other) => {
        const begins = await Promise.all(Object.keys(logins).map(() => begun(stage, one)))
        stage.forward(aWhile)
        for (const [n, [how, login]] of Object.entries(logins).entries()) {
          const browser = begins[n] as Browser
          const finish = await browser.begin(handler, { anyStatus: true })
          await browser.visit(login, { site: other })
          const answer = await finish()
          deepEqual(answer.cookies, [], `no cookie after a login by ${how}`)
          browser.keep(answer)
          equal((await browser.data(other)).user, 'ann')
        }
        one.thrown.length = 0
      },
      persistent,
    ),
  ),

  ...Object.entries(slow).flatMap(([what, handler]) =>
    onOneAndTwo(
      `a logout is not followed by a cookie from a slow request of a persistent session that ${what}`,
      async (stage, one, other) => {
        const begins = await Promise.all(Object.keys(logouts).map(() => begun(stage, one)))
        stage.forward(aWhile)
        for (const [n, [how, logout]] of Object.entries(logouts).entries()) {
          const browser = begins[n] as Browser
          const finish = await browser.begin(handler, { anyStatus: true })
          await logout(browser, other)
          deepEqual((await finish()).cookies, [], `no cookie after ${how}`)
        }
        deepEqual(await stage.remains(), [])
        one.thrown.length = 0
      },
      persistent,
    ),
  ),

  {
    title: 'a persistent cookie is renewed by requests that read, write, save early or touch, while the session lives',
    run: async stage => {
      const site = await stage.site(persistent)
      const handlers = Object.values(slow)
      const browsers = await Promise.all(handlers.map(() => begun(stage, site)))
      stage.forward(aWhile)
      for (const [n, handler] of handlers.entries()) {
        const finish = await (browsers[n] as Browser).begin(handler, { anyStatus: true })
        const { cookies } = await finish()
        equal(cookies.length, 1, Object.keys(slow)[n])
        equal(/; Max-Age=(43\d\d\d|7200);/i.test(`${cookies}`), true, `${cookies}`)
      }
      site.thrown.length = 0
    },
  },

  ...Object.entries(failures).flatMap(([what, fail]) =>
    onOneAndTwo(
      `a failed login that regenerated and ${what} leaves the login alone that won`,
      async (stage, one, other) => {
        for (const [how, login] of Object.entries(logins)) {
          for (const begins of ['before', 'after']) {
            const browser = await stage.anonymous(one)
            const late =
              begins === 'before' &&
              (await browser.begin(
                async (page, pause) => {
                  page.session.seen = true
                  await pause()
                  return login(page, pause)
                },
                { site: other },
              ))
            const failing = await browser.begin(
              async (page, pause) => {
                await page.session.regenerate()
                await pause()
                return fail(page, pause)
              },
              { anyStatus: true },
            )
            const won = late ? await late() : await browser.send(login, { site: other })
            const failed = await failing()
            deepEqual(failed.cookies, [], `${how}, which began ${begins} it`)
            for (const answers of bothOrders(won, failed)) {
              const copy = browser.copy()
              for (const answer of answers) copy.keep(answer)
              equal((await copy.data()).user, 'ann', `${how}, which began ${begins} it`)
            }
          }
        }
        one.thrown.length = 0
      },
    ),
  ),

  ...onOneAndTwo('a failed login that met another one does not clear its cookie', async (stage, one, other) => {
    const browser = await stage.anonymous(one)
    const failing = await browser.begin(
      async (page, pause) => {
        page.session.seen = true
        await pause()
        await page.session.regenerate()
        page.throw(401)
      },
      { anyStatus: true },
    )
    await browser.visit(logins['regenerate()'] as Handler, { site: other })
    browser.keep(await failing())
    equal((await browser.data()).user, 'ann')
    one.thrown.length = 0
  }),

  {
    title: 'a failed login that regenerated alone clears the cookie of the session it ended',
    run: async stage => {
      const site = await stage.site()
      const browser = await stage.signedIn(site)
      await browser.visit(
        async page => {
          await page.session.regenerate()
          page.throw(401)
        },
        { anyStatus: true },
      )
      equal(browser.id, undefined)
      deepEqual(await stage.remains(), [])
      site.thrown.length = 0
    },
  },
]
