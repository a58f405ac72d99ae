import { deepEqual, equal, notEqual, ok } from 'node:assert/strict'
import type { Answer, Browser } from './browser.js'
import type { Handler } from './site.js'
import { onOneAndTwo, type StageCase } from './stage.js'

const clears = ({ cookies }: Answer): boolean => cookies.some(cookie => /max-age=0/i.test(cookie))

const rotate: Handler = ({ session }) => session.rotateId()

/** Actions of a late request under an old id. */
const late: Record<string, Handler> = {
  'a reader': ({ session }) => ({ ...session }),
  'a writer': ({ session }) => {
    session.late = session.mark ?? 'late'
  },
  'a save': async ({ session }) => {
    session.late = true
    equal(await session.save(), false)
  },
  'an update': async ({ session }) => {
    const saved = await session.update(data => {
      data.late = true
    })
    equal(saved, false)
  },
  'a flash': page => page.flash('late'),
  'a flash reader': async page => deepEqual(await page.flash(), []),
  'a replacement': page => {
    page.session = { late: true }
  },
  'a change of maxAge': ({ session }) => {
    session.maxAge = 60_000
    session.late = true
  },
  'a rotation': async ({ session }) => {
    session.late = true
    equal(await session.rotateId(), false)
  },
  'a sign-out': ({ session }) => {
    session.late = true
    delete session.user
  },
}

/** Both browsers that may come of two answers, whichever arrives last. */
function arrivals(browser: Browser, one: Answer, other: Answer): Browser[] {
  return [
    [one, other],
    [other, one],
  ].map(answers => {
    const copy = browser.copy()
    for (const answer of answers) copy.keep(answer)
    return copy
  })
}

/** A session that takes a new id. */
export const rotationCases: StageCase[] = [
  {
    title: 'rotateId gives a new id and keeps data, object and age; the old id is dead',
    run: async stage => {
      const site = await stage.site()
      const browser = await stage.signedIn(site, { cart: [1] })
      const old = browser.copy()
      const createdAt = (await browser.visit(({ session }) => session.createdAt)).value
      const { value } = await browser.visit(async page => {
        const { session } = page
        const { id, key } = session
        const saved = await session.rotateId()
        return [saved, session === page.session, session.id !== id, session.key !== key, session.createdAt]
      })
      deepEqual(value, [true, true, true, true, createdAt])
      notEqual(browser.id, old.id)
      deepEqual(await browser.data(), { user: 'ann', mark: stage.mark, cart: [1] })
      const { value: isNew } = await old.visit(({ session }) => [session.isNew, { ...session }])
      deepEqual(isNew, [true, {}])
    },
  },

  ...onOneAndTwo(
    'two parallel rotations: one wins, and no cleared cookie signs the user out',
    async (stage, one, other) => {
      for (const how of ['rotateId', 'awaited rotateId']) {
        const browser = await stage.signedIn(one)
        const rotation: Handler = async ({ session }, pause) => {
          session.seen = true
          await pause()
          if (how === 'rotateId') session.rotateId()
          else return session.rotateId()
        }
        const finishes = [await browser.begin(rotation), await browser.begin(rotation, { site: other })]
        const [first, second] = (await Promise.all(finishes.map(finish => finish()))) as [Answer, Answer]
        equal([first, second].filter(({ cookies }) => cookies.length > 0).length, 1, 'one answer carries an id')
        ok(!clears(first) && !clears(second), 'none clears the cookie')
        for (const after of arrivals(browser, first, second)) equal((await after.data()).user, 'ann')
        equal((await stage.remains()).length, 1, 'one session is left')
        await one.sessions.revokeAll('ann')
      }
    },
  ),

  ...onOneAndTwo('ten parallel rotations leave one session and one new id', async (stage, one, other) => {
    const browser = await stage.signedIn(one)
    const ask = (_: unknown, n: number) => browser.send(rotate, { site: n % 2 ? one : other })
    const answers = await Promise.all(Array.from({ length: 10 }, ask))
    const [winner, ...others] = answers.filter(({ cookies }) => cookies.length > 0)
    deepEqual(others, [])
    browser.keep(winner as Answer)
    equal((await browser.data()).user, 'ann')
    equal((await stage.remains()).length, 1)
  }),

  ...onOneAndTwo('a rotation that loses against a change takes the change along', async (stage, one, other) => {
    const browser = await stage.signedIn(one)
    const finish = await browser.begin(async ({ session }, pause) => {
      session.late = true
      await pause()
      return session.rotateId()
    })
    const changed = await browser.send(
      ({ session }) => {
        session.early = true
      },
      { site: other },
    )
    deepEqual(changed.cookies, [])
    const answer = await finish()
    equal(answer.value, true)
    browser.keep(answer)
    deepEqual(await browser.data(other), { user: 'ann', mark: stage.mark, late: true, early: true })
    equal((await stage.remains()).length, 1, 'the copy that lost is gone')
  }),

  {
    title: 'a rotation whose copy is made when the session changes makes another copy',
    run: async stage => {
      const [one, other] = [await stage.site(), await stage.site()]
      const browser = await stage.signedIn(one)
      const held = one.store.hold('write', 2)
      const answer = browser.send(rotate)
      await held.reached
      await browser.visit(
        ({ session }) => {
          session.early = true
        },
        { site: other },
      )
      held.release()
      browser.keep(await answer)
      deepEqual(await browser.data(), { user: 'ann', mark: stage.mark, early: true })
      equal((await stage.remains()).length, 1, 'the first copy is gone')
    },
  },

  ...Object.entries(late).flatMap(([name, run]) =>
    onOneAndTwo(
      `${name} that comes late under an old id changes nothing and gets no cookie`,
      async (stage, one, other) => {
        const browser = await stage.signedIn(one)
        await browser.visit(page => page.flash('waits'))
        const old = browser.copy()
        const slow = await old.begin(async (page, pause) => {
          page.session.seen = true
          await pause()
          // Queued messages stay with the session, whichever request carried them over.
          return run(page, pause)
        })
        await browser.visit(rotate, { site: other })
        const before = await stage.records()
        for (const answer of [await slow(), await old.send(run), await old.send(run, { site: other })]) {
          deepEqual(answer.cookies, [])
        }
        deepEqual(await stage.records(), before, 'nothing stored has changed')
        deepEqual(await browser.data(), { user: 'ann', mark: stage.mark })
      },
    ),
  ),

  ...onOneAndTwo(
    'a tombstone carries no data and no subject and is never yielded by list',
    async (stage, one, other) => {
      const browser = await stage.signedIn(one, { secret: `secret of ${stage.mark}` })
      const olds: string[] = []
      const moves: Handler[] = [
        rotate,
        async page => {
          const data = { ...page.session }
          await page.session.regenerate()
          page.session = data
        },
        ({ session }) => {
          session.user = 'bob'
        },
      ]
      for (const move of moves) {
        olds.push((await browser.visit(({ session }) => session.key)).value)
        await browser.visit(move, { site: other })
      }
      const records = await stage.records()
      const tombstones = records.filter(({ key }) => olds.includes(key))
      equal(tombstones.length, 3)
      for (const { record } of tombstones) {
        equal(record.subject, undefined)
        ok(!record.data.includes(stage.mark) && !record.data.includes('bob'), 'no data')
        ok(record.expiresAt <= Date.now() + 60_000, 'it lives for 60 s')
      }
      const listed = []
      for (const subject of ['ann', 'bob']) {
        for await (const { key, data } of one.sessions.list(subject)) listed.push([key, data])
      }
      const { value: key } = await browser.visit(({ session }) => session.key)
      deepEqual(listed, [[key, { user: 'bob', mark: stage.mark, secret: `secret of ${stage.mark}` }]])
    },
  ),

  {
    title: 'a change of subject rotates the id by itself and restarts the age, for a sign-out as well',
    run: async stage => {
      const site = await stage.site()
      const browser = await stage.anonymous(site, { cart: [1] })
      for (const user of ['ann', 'bob', undefined]) {
        const old = browser.copy()
        const createdAt = (await browser.visit(({ session }) => session.createdAt)).value
        while (Date.now() <= createdAt);
        await browser.visit(page => {
          if (user) page.session.user = user
          else delete page.session.user
        })
        notEqual(browser.id, old.id)
        deepEqual(await browser.data(), { mark: stage.mark, cart: [1], ...(user && { user }) })
        deepEqual(await old.data(), {})
        const { value: restarted } = await browser.visit(({ session }) => session.createdAt)
        ok(restarted > createdAt, 'the age restarts')
      }
      equal((await stage.remains()).length, 1)
    },
  },

  {
    title: 'rotateId by the app beside a change of subject rotates once',
    run: async stage => {
      const site = await stage.site()
      const handlers: Handler[] = [
        async ({ session }) => {
          session.user = 'ann'
          await session.rotateId()
        },
        async ({ session }) => {
          await session.rotateId()
          session.user = 'ann'
        },
        ({ session }) => {
          session.user = 'ann'
          session.rotateId()
        },
      ]
      for (const handler of handlers) {
        const browser = await stage.anonymous(site)
        const before = new Set(site.store.calls.map(({ key }) => key))
        const { cookies } = await browser.visit(handler)
        equal(cookies.length, 1)
        const made = new Set(site.store.calls.map(({ key }) => key).filter(key => !before.has(key)))
        equal(made.size, 1, 'one new key')
        equal((await browser.data()).user, 'ann')
      }
    },
  },

  ...onOneAndTwo("an explicit logout under a tombstone's id ends the successor", async (stage, one, other) => {
    const ends: [string, Handler][] = [
      ['destroy', ({ session }) => session.destroy()],
      [
        'null',
        page => {
          page.session = null
        },
      ],
    ]
    const moves: [string, Handler][] = [
      ['rotateId', rotate],
      [
        'two rotations',
        async ({ session }) => {
          await session.rotateId()
          await session.rotateId()
        },
      ],
      [
        'a login',
        async page => {
          await page.session.regenerate()
          page.session = { user: 'ann', mark: stage.mark }
        },
      ],
      [
        'a change of subject',
        ({ session }) => {
          session.user = 'bob'
        },
      ],
    ]
    for (const [how, end] of ends) {
      for (const [move, run] of moves) {
        const browser = await stage.signedIn(one)
        const old = browser.copy()
        await browser.visit(run)
        equal((await stage.remains()).length, 1, move)
        await old.visit(end, { site: other })
        deepEqual(await stage.remains(), [], `${move}, then ${how} under the old id`)
        deepEqual(await browser.data(), {})
      }
    }
  }),

  ...onOneAndTwo("revoke of a tombstone's key ends the successor", async (stage, one, other) => {
    const browser = await stage.signedIn(one)
    const { value: key } = await browser.visit(({ session }) => session.key)
    await browser.visit(rotate)
    await browser.visit(rotate)
    await other.sessions.revoke(key)
    deepEqual(await stage.remains(), [])
    deepEqual(await browser.data(), {})
  }),
]
