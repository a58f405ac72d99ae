import { deepEqual, equal, ok } from 'node:assert/strict'
import { setTimeout } from 'node:timers/promises'
import type { Browser } from './browser.js'
import type { Site } from './site.js'
import { onOneAndTwo, type StageCase } from './stage.js'

const ends: Record<string, (browser: Browser, site: Site) => Promise<unknown>> = {
  'destroy()': (browser, site) => browser.send(({ session }) => session.destroy(), { site }),
  'regenerate()': (browser, site) => browser.send(({ session }) => session.regenerate(), { site }),
  'rotateId()': (browser, site) => browser.send(({ session }) => session.rotateId(), { site }),
  'a change of subject': (browser, site) => browser.send(({ session }) => void (session.user = 'bob'), { site }),
  'revokeAll(subject)': (_, site) => site.sessions.revokeAll('ann'),
}

/** `session.touch()`. */
export const touchCases: StageCase[] = [
  ...onOneAndTwo('touch() moves the times now and tells that the session lives', async (stage, one, other) => {
    const browser = await stage.signedIn(one)
    const finish = await browser.begin(async ({ session }, pause) => {
      const before = session.expiresAt
      await setTimeout(5)
      const lives = await session.touch()
      await pause()
      return [lives, session.expiresAt - before]
    })
    const [{ record }] = (await stage.records()) as [Awaited<ReturnType<typeof stage.records>>[0]]
    const { value } = await finish()
    equal(value[0], true)
    ok(value[1] >= 5, 'the handler sees the new time')
    equal(record.expiresAt - record.seenAt, 3_600_000)
    equal((await browser.data(other)).user, 'ann')
  }),

  ...Object.entries(ends).flatMap(([how, end]) =>
    onOneAndTwo(
      `touch() tells that the session was ended, or went on elsewhere, by ${how}`,
      async (stage, one, other) => {
        const browser = await stage.signedIn(one)
        const finish = await browser.begin(async ({ session }, pause) => {
          const first = await session.touch()
          await pause()
          return [first, await session.touch(), await session.touch()]
        })
        await end(browser, other)
        const before = await stage.records()
        deepEqual((await finish()).value, [true, false, false])
        deepEqual(await stage.records(), before, 'nothing came back')
      },
    ),
  ),

  ...onOneAndTwo(
    'touch() goes on with a session that others changed, and shows what they changed',
    async (stage, one, other) => {
      const browser = await stage.signedIn(one)
      const finish = await browser.begin(async ({ session }, pause) => {
        session.mine = 1
        await pause()
        return [await session.touch(), session.mine, session.theirs]
      })
      await browser.send(({ session }) => void (session.theirs = 2), { site: other })
      deepEqual((await finish()).value, [true, 1, 2])
      const { mine, theirs } = await browser.data(other)
      deepEqual([mine, theirs], [1, 2])
    },
  ),

  {
    title: 'touch() stores no data, and does not bring back what this request has ended or not stored yet',
    run: async stage => {
      const site = await stage.site()
      const browser = await stage.signedIn(site)
      const { value } = await browser.visit(async ({ session }) => {
        session.unsaved = true
        const lives = await session.touch()
        delete session.unsaved
        return lives
      })
      equal(value, true)
      equal((await browser.data()).unsaved, undefined)

      const left = await browser.visit(async page => {
        const old = page.session
        await page.session.destroy()
        return [await old.touch(), await page.session.touch(), page.session.isNew]
      })
      deepEqual([left.value, browser.id], [[false, false, true], undefined])
      deepEqual(await stage.remains(), [])

      const { value: fresh, cookies } = await browser.visit(({ session }) => session.touch())
      deepEqual([fresh, cookies], [false, []], 'a session that was never stored')
      const saved = await browser.visit(async ({ session }) => {
        session.user = 'ann'
        session.save()
        return session.touch()
      })
      equal(saved.value, true, 'one that is being stored')
    },
  },
]
