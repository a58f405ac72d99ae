import { deepEqual, equal, notEqual } from 'node:assert/strict'
import type { Answer, Browser } from './browser.js'
import type { Handler, Site } from './site.js'
import { onOneAndTwo, type StageCase } from './stage.js'

/** The ways to sign in. At `pause` another request gets ahead. */
const logins: Record<string, Handler> = {
  'regenerate()': async (page, pause) => {
    page.session.seen = true
    await pause()
    await page.session.regenerate()
    page.session.user = 'ann'
  },
  'regenerate() without await': async (page, pause) => {
    page.session.seen = true
    await pause()
    page.session.regenerate()
    page.session.user = 'ann'
  },
  'a change of subject': async ({ session }, pause) => {
    session.user = 'ann'
    await pause()
  },
  'a change of subject and save': async ({ session }, pause) => {
    session.user = 'ann'
    await pause()
    equal(await session.save(), true)
  },
  'a change of subject by update': async ({ session }, pause) => {
    session.seen = true
    await pause()
    const saved = await session.update(data => {
      data.user = 'ann'
    })
    equal(saved, true)
  },
  'a change of subject and rotateId': async ({ session }, pause) => {
    session.user = 'ann'
    await pause()
    equal(await session.rotateId(), true)
  },
}

/** Changes of a session during a login. */
const losses: Record<string, (browser: Browser, site: Site) => Promise<unknown>> = {
  'was revoked': async (browser, site) => {
    const { value } = await browser.send(({ session }) => session.key)
    await site.sessions.revoke(value)
  },
  'was destroyed': (browser, site) => browser.send(({ session }) => session.destroy(), { site }),
  'was rotated': (browser, site) => browser.send(({ session }) => session.rotateId(), { site }),
  'was regenerated': (browser, site) => browser.send(({ session }) => session.regenerate(), { site }),
  'changed its subject': (browser, site) =>
    browser.send(
      ({ session }) => {
        session.user = 'bob'
      },
      { site },
    ),
}

/** Actions of a request that begins before a login and ends after it. */
const late: Record<string, Handler> = {
  'a writer': ({ session }) => {
    session.late = true
  },
  'a save': async ({ session }) => {
    session.late = true
    equal(await session.save(), false)
  },
  'a persistent cookie': ({ session }) => {
    session.late = true
    session.maxAge = 60_000
  },
  'a flash': page => page.flash('late'),
  'clear()': ({ session }) => session.clear(),
  'a rotation': ({ session }) => session.rotateId(),
}

const bothOrders = (one: Answer, other: Answer): [Answer, Answer][] => [
  [one, other],
  [other, one],
]

async function isSignedIn(browser: Browser, how: string): Promise<void> {
  equal((await browser.data()).user, 'ann', how)
}

/** An authenticated user stays signed in. */
export const authenticationCases: StageCase[] = [
  ...Object.entries(logins).flatMap(([name, login]) =>
    onOneAndTwo(
      `a double-clicked login by ${name} is a login, whichever answer arrives last`,
      async (stage, one, other) => {
        const browser = await stage.anonymous(one)
        const finishes = [await browser.begin(login), await browser.begin(login, { site: other })]
        const [first, second] = (await Promise.all(finishes.map(finish => finish()))) as [Answer, Answer]
        for (const answers of bothOrders(first, second)) {
          const copy = browser.copy()
          for (const answer of answers) copy.keep(answer)
          await isSignedIn(copy, name)
        }
      },
    ),
  ),

  ...Object.entries(logins).flatMap(([name, login]) =>
    onOneAndTwo(`a second login by ${name}, under the old id, does not end the first`, async (stage, one, other) => {
      const browser = await stage.anonymous(one)
      const finish = await browser.begin(login, { site: other })
      const first = await browser.send(login, { site: one })
      const second = await finish()
      for (const answers of bothOrders(first, second)) {
        const copy = browser.copy()
        for (const answer of answers) copy.keep(answer)
        await isSignedIn(copy, name)
      }
    }),
  ),

  ...Object.entries(late).flatMap(([name, run]) =>
    onOneAndTwo(`login sticks against ${name} that comes late under the old id`, async (stage, one, other) => {
      const browser = await stage.anonymous(one)
      const old = browser.copy()
      const finish = await old.begin(async (page, pause) => {
        page.session.seen = true
        await pause()
        await run(page, pause)
      })
      await browser.visit(
        async page => {
          await page.session.regenerate()
          page.session.user = 'ann'
        },
        { site: other },
      )
      for (const answer of [await finish(), await old.send(run), await old.send(run, { site: other })]) {
        deepEqual(answer.cookies, [], 'it neither sets nor clears the cookie')
        browser.keep(answer)
      }
      deepEqual(await browser.data(), { user: 'ann' })
    }),
  ),

  ...Object.entries(losses).flatMap(([loss, lose]) =>
    onOneAndTwo(
      `authentication wins where the session ${loss}: what the request set is saved, nothing else`,
      async (stage, one, other) => {
        for (const [name, login] of Object.entries(logins)) {
          const browser = await stage.anonymous(one, { cart: ['theirs'], nested: { n: 1 } })
          const finish = await browser.begin(async (page, pause) => {
            const { nested } = page.session
            await login(page, pause)
            page.session.nested = { ...nested, n: 2 }
            page.flash('Welcome')
          })
          const old = browser.copy()
          await lose(browser, other)
          const answer = await finish()
          equal(answer.cookies.length, 1, name)
          browser.keep(answer)
          notEqual(browser.id, old.id)
          const { seen: _, ...data } = await browser.data()
          deepEqual(data, { user: 'ann', nested: { n: 2 } }, name)
          deepEqual((await browser.visit(page => page.flash())).value, ['Welcome'])
          deepEqual(await old.data(), {}, 'the old id stays dead')
        }
      },
    ),
  ),

  ...onOneAndTwo(
    'a request that did not change the subject to a new, defined one has not authenticated',
    async (stage, one, other) => {
      const changes: Record<string, Handler> = {
        'the same subject': ({ session }) => {
          session.user = 'ann'
        },
        'a subject set and put back': ({ session }) => {
          session.user = 'bob'
          session.user = 'ann'
        },
        'a sign-out': ({ session }) => {
          delete session.user
        },
        'other data': ({ session }) => {
          session.admin = true
        },
      }
      for (const [name, change] of Object.entries(changes)) {
        const browser = await stage.signedIn(one)
        const finish = await browser.begin(async (page, pause) => {
          page.session.late = true
          change(page, pause)
          await pause()
        })
        await browser.copy().visit(({ session }) => session.destroy(), { site: other })
        const answer = await finish()
        deepEqual(answer.cookies, [], name)
        deepEqual(await stage.remains(), [], name)
      }
    },
  ),

  {
    title: 'a regenerate that stayed empty stores nothing and clears the cookie',
    run: async stage => {
      const browser = await stage.signedIn(await stage.site())
      const { cookies } = await browser.visit(async ({ session }) => session.regenerate())
      equal(cookies.length, 1)
      equal(browser.id, undefined)
      deepEqual(await stage.remains(), [])
      deepEqual(
        (await stage.records()).map(({ record }) => record.subject),
        [undefined],
        'a tombstone is left',
      )
    },
  },
]
