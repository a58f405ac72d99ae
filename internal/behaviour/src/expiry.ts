import { deepEqual, equal, match, notEqual, ok } from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import { Browser } from './browser.js'
import type { Stage, StageCase } from './stage.js'

/** The instant at which the session of `browser` ends, by its record. */
const endOf = async (browser: Browser): Promise<number> =>
  (await browser.visit(({ session }) => session.expiresAt)).value

/** Puts the clock to the instant at which everything stored has expired. */
async function allExpired(stage: Stage): Promise<void> {
  const ends = (await stage.records()).map(({ record }) => record.expiresAt)
  stage.forward(Math.max(...ends) - Date.now())
}

/** When a session ends by itself. */
export const expiryCases: StageCase[] = [
  {
    title: 'a session without a request ends after idleTimeout, under a new id, and its cookie is left alone',
    run: async stage => {
      const browser = await stage.signedIn(await stage.site({ idleTimeout: 600_000 }))
      const old = browser.copy()
      await allExpired(stage)
      const read = await browser.visit(({ session }) => [session.isNew, { ...session }])
      deepEqual([read.value, read.cookies], [[true, {}], []])
      const later = browser.copy()
      await later.visit(({ session }) => {
        session.n = 1
      })
      notEqual(later.id, old.id)
      deepEqual([await later.data(), await old.data()], [{ n: 1 }, {}])
    },
  },
  {
    title: 'an expired session is not brought back by a write, an update, a touch or a rotation that began before',
    run: async stage => {
      const site = await stage.site({ idleTimeout: 600_000, touchInterval: 0 })
      const browser = await stage.signedIn(site)
      const finishes = [
        await browser.begin(async ({ session }, pause) => {
          session.late = true
          await pause()
          equal(await session.save(), false)
        }),
        await browser.begin(async ({ session }, pause) => {
          await pause()
          equal(await session.update(data => void (data.late = true)), false)
        }),
        await browser.begin(async ({ session }, pause) => {
          session.late = true
          await pause()
          equal(await session.rotateId(), false)
        }),
      ]
      const touch = site.store.hold('touch')
      const touching = browser.send(() => {})
      await Promise.race([touch.reached, touching])
      await allExpired(stage)
      touch.release()
      await touching
      for (const finish of finishes) deepEqual((await finish()).cookies, [])
      deepEqual(await stage.records(), [])
      deepEqual(await browser.data(), {})
    },
  },
  {
    title: 'requests keep a session alive up to absoluteTimeout since it was created',
    run: async stage => {
      const absoluteTimeout = 3_600_000
      const site = await stage.site({ idleTimeout: 900_000, absoluteTimeout, touchInterval: 0 })
      const browser = await stage.signedIn(site)
      const { value: createdAt } = await browser.visit(({ session }) => session.createdAt)
      for (let visits = 1; visits < 6; visits++) {
        stage.forward(600_000)
        const { value } = await browser.visit(({ session }) => [session.user, session.createdAt])
        deepEqual(value, ['ann', createdAt])
      }
      equal(await endOf(browser), createdAt + absoluteTimeout)
      stage.forward(createdAt + absoluteTimeout - Date.now())
      deepEqual(await browser.data(), {})
    },
  },
  {
    title: 'a plain rotateId does not restart the absolute timeout, regenerate and a change of subject do',
    run: async stage => {
      const browser = await stage.signedIn(await stage.site({ idleTimeout: 60_000, absoluteTimeout: 60_000 }))
      const end = await endOf(browser)
      await setTimeout(5)
      await browser.visit(({ session }) => session.rotateId())
      equal(await endOf(browser), end)
      await browser.visit(({ session }) => {
        session.user = 'bob'
      })
      const restarted = await endOf(browser)
      ok(restarted > end, 'a change of subject restarts it')
      await setTimeout(5)
      await browser.visit(async page => {
        await page.session.regenerate()
        page.session.user = 'bob'
      })
      ok((await endOf(browser)) > restarted, 'regenerate restarts it')
    },
  },
  {
    title: 'a numeric maxAge keeps a session beyond idleTimeout and absoluteTimeout, with a persistent cookie',
    run: async stage => {
      const browser = new Browser(await stage.site({ idleTimeout: 1_000, absoluteTimeout: 2_000 }))
      const { cookies } = await browser.visit(({ session }) => {
        session.user = 'ann'
        session.maxAge = 60_000
      })
      match(`${cookies}`, /; Max-Age=(5\d|60); Expires=/)
      stage.forward(40_000)
      equal((await browser.data()).user, 'ann')
    },
  },
]
