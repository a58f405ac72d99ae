import { deepEqual, equal, notEqual } from 'node:assert/strict'
import type { Answer, Browser } from './browser.js'
import type { Handler, Page, Site } from './site.js'
import { onOneAndTwo, type Stage, type StageCase } from './stage.js'

type Step = (page: Page) => unknown

/** The ways to end a session in the middle of a request. */
const leaves: Record<string, Step> = {
  'regenerate()': ({ session }) => session.regenerate(),
  'regenerate() without await': ({ session }) => void session.regenerate(),
  'regenerate() twice': async page => {
    await page.session.regenerate()
    await page.session.regenerate()
  },
  'save() and regenerate()': async ({ session }) => {
    session.early = true
    await session.save()
    await session.regenerate()
  },
  'rotateId() and regenerate()': async ({ session }) => {
    await session.rotateId()
    await session.regenerate()
  },
}

/** The ways to bring its data back. */
const copies: Record<string, (page: Page, old: object) => unknown> = {
  'Object.assign': ({ session }, old) => void Object.assign(session, old),
  'a replacement': (page, old) => {
    page.session = { ...old }
  },
  'an awaited save': async ({ session }, old) => {
    Object.assign(session, old)
    return session.save()
  },
  'an update': ({ session }, old) => session.update(data => void Object.assign(data, old)),
  'an awaited rotateId': async ({ session }, old) => {
    Object.assign(session, old)
    return session.rotateId()
  },
}

type End = (browser: Browser, site: Site, key: string) => Promise<unknown>

const endings: Record<string, End> = {
  'destroy()': (browser, site) => browser.send(({ session }) => session.destroy(), { site }),
  '= null': (browser, site) => browser.send(page => void (page.session = null), { site }),
  'revoke(key)': (_, site, key) => site.sessions.revoke(key),
}

/** These can only be told from a login before the other request has left its session. */
const endingsBefore: Record<string, End> = {
  ...endings,
  'regenerate()': (browser, site) => browser.send(({ session }) => session.regenerate(), { site }),
  'revokeAll(subject)': (_, site) => site.sessions.revokeAll('ann'),
}

const begin = (browser: Browser, when: 'before' | 'after', leave: Step, copy: (page: Page, old: object) => unknown) =>
  browser.begin(async (page, pause) => {
    const old = { ...page.session }
    if (when === 'before') await pause()
    await leave(page)
    if (when === 'after') await pause()
    return copy(page, old)
  })

async function assertFinal(stage: Stage, browser: Browser, answer: Answer, how: string): Promise<void> {
  deepEqual(await stage.remains(), [], `nothing is stored: ${how}`)
  deepEqual(answer.cookies, [], `no cookie: ${how}`)
  equal(answer.value === true, false, `it does not say that it is stored: ${how}`)
  browser.keep(answer)
  deepEqual(await browser.data(), {}, how)
}

const keyOf = async (browser: Browser): Promise<string> => (await browser.send(({ session }) => session.key)).value

/** A copy of a session's data in a regenerated session is no login: a logout meanwhile stays final. */
export const copiedSessionCases: StageCase[] = [
  ...(['before', 'after'] as const).flatMap(when =>
    Object.entries(leaves).flatMap(([leaving, leave]) =>
      onOneAndTwo(`logout is final against a session copied by ${leaving}, ${when} that`, async (stage, one, other) => {
        for (const start of ['signedIn', 'anonymous'] as const) {
          const ends = Object.entries(when === 'before' ? endingsBefore : endings).filter(
            ([ending]) => start === 'signedIn' || ending !== 'revokeAll(subject)',
          )
          for (const [[copying, copy], [ending, end]] of stage.pairs(Object.entries(copies), ends)) {
            const browser = await stage[start](one)
            const key = await keyOf(browser)
            const finish = await begin(browser, when, leave, copy)
            await end(browser, other, key)
            await assertFinal(stage, browser, await finish(), `${start}, ${copying}, ${ending}`)
          }
        }
      }),
    ),
  ),

  ...onOneAndTwo('without a logout a copied session goes on under its new id', async (stage, one, other) => {
    for (const [[leaving, leave], [copying, copy]] of stage.pairs(Object.entries(leaves), Object.entries(copies))) {
      for (const start of ['signedIn', 'anonymous'] as const) {
        const how = `${start}, ${leaving}, ${copying}`
        const browser = await stage[start](one)
        const old = browser.copy()
        const before = await browser.data()
        const finish = await begin(browser, 'after', leave, copy)
        browser.keep(await finish())
        notEqual(browser.id, old.id, how)
        deepEqual(await browser.data(other), before, how)
        deepEqual(await old.data(other), {}, how)
        // The tombstone names it, so that a logout under the old id ends it.
        await old.visit(({ session }) => session.destroy(), { site: other })
        deepEqual(await browser.data(), {}, how)
        deepEqual(await stage.remains(), [], how)
      }
    }
  }),

  ...onOneAndTwo('a double-clicked copy of a session leaves its user signed in', async (stage, one, other) => {
    const relogin: Handler = async (page, pause) => {
      const old = { ...page.session }
      await pause()
      await page.session.regenerate()
      Object.assign(page.session, old)
    }
    const browser = await stage.signedIn(one)
    const finishes = [await browser.begin(relogin), await browser.begin(relogin, { site: other })]
    const [first, second] = (await Promise.all(finishes.map(finish => finish()))) as [Answer, Answer]
    for (const answers of [
      [first, second],
      [second, first],
    ]) {
      const copy = browser.copy()
      for (const answer of answers) copy.keep(answer)
      equal((await copy.data()).user, 'ann')
    }
  }),

  ...onOneAndTwo('a copy that meets a login is kept, unless that has been logged out', async (stage, one, other) => {
    for (const hasLoggedOut of [false, true]) {
      const browser = await stage.signedIn(one)
      const finish = await begin(
        browser,
        'before',
        ({ session }) => session.regenerate(),
        ({ session }, old) => void Object.assign(session, old),
      )
      const login = browser.copy()
      await login.visit(
        async page => {
          const old = { ...page.session }
          await page.session.regenerate()
          Object.assign(page.session, old)
        },
        { site: other },
      )
      if (hasLoggedOut) await login.visit(({ session }) => session.destroy(), { site: other })
      browser.keep(await finish())
      equal((await browser.data()).user, hasLoggedOut ? undefined : 'ann')
      if (hasLoggedOut) deepEqual(await stage.remains(), [])
      await one.sessions.revokeAll('ann')
    }
  }),

  ...onOneAndTwo('a copy of a destroyed session that was gone already is dropped', async (stage, one, other) => {
    const destroys: Step[] = [({ session }) => session.destroy(), page => void (page.session = null)]
    for (const destroy of destroys) {
      const browser = await stage.signedIn(one)
      const finish = await begin(browser, 'before', destroy, ({ session }, old) => void Object.assign(session, old))
      await browser.send(({ session }) => session.destroy(), { site: other })
      browser.keep(await finish())
      deepEqual([await stage.remains(), await browser.data()], [[], {}])
      // A goodbye message is no copy.
      const bye = await stage.signedIn(one)
      const leaving = await bye.begin(async (page, pause) => {
        page.session.seen = true
        await pause()
        await destroy(page)
        page.flash('Bye')
      })
      await bye.send(({ session }) => session.destroy(), { site: other })
      bye.keep(await leaving())
      deepEqual((await bye.visit(page => page.flash())).value, ['Bye'])
    }
  }),

  ...onOneAndTwo(
    'who signs in as somebody else while the old session is logged out is signed in',
    async (stage, one, other) => {
      for (const when of ['before', 'after'] as const) {
        for (const [ending, end] of Object.entries(endingsBefore)) {
          const browser = await stage.signedIn(one)
          const key = await keyOf(browser)
          const finish = await begin(
            browser,
            when,
            ({ session }) => session.regenerate(),
            ({ session }) => void (session.user = 'bob'),
          )
          await end(browser, other, key)
          browser.keep(await finish())
          deepEqual(await browser.data(), { user: 'bob' }, `${ending}, ${when}`)
        }
      }
    },
  ),
]
