import { deepEqual, doesNotMatch, equal, notEqual, ok } from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { gate } from './gate.js'
import type { Handler } from './site.js'
import { onOneAndTwo, type StageCase } from './stage.js'

const keyOf: Handler = ({ session }) => session.key

/** Sessions as devices and administrators see them. */
export const adminCases: StageCase[] = [
  ...onOneAndTwo(
    'revokeAll ends every session of a subject but the excepted one, and tells how many',
    async (stage, one, other) => {
      const devices = await Promise.all([one, other, one, other].map(site => stage.signedIn(site)))
      const stranger = await stage.anonymous(one, { user: 'bob' })
      const [here] = devices
      const except = (await here?.visit(keyOf))?.value
      equal(await one.sessions.revokeAll('ann', { except }), 3)
      const users = await Promise.all([...devices, stranger].map(async device => (await device.data(other)).user))
      deepEqual(users, ['ann', undefined, undefined, undefined, 'bob'])
      equal(await other.sessions.revokeAll('ann'), 1)
      deepEqual(await here?.data(), {})
    },
  ),

  ...onOneAndTwo('revokeAll ends sessions whose requests are under way', async (stage, one, other) => {
    const handlers: Handler[] = [
      async ({ session }, pause) => {
        session.late = session.mark
        await pause()
      },
      async ({ session }, pause) => {
        await pause()
        await session.rotateId()
      },
      async ({ session }, pause) => {
        await pause()
        await session.update(data => {
          data.late = data.mark
        })
      },
    ]
    const devices = await Promise.all(handlers.map(() => stage.signedIn(one)))
    const begun = await Promise.all(devices.map((device, n) => device.begin(handlers[n] as Handler)))
    const [revoked, ...answers] = await Promise.all([other.sessions.revokeAll('ann'), ...begun.map(finish => finish())])
    ok(revoked >= 3, 'all three, and perhaps the copy of a rotation')
    devices.forEach((device, n) => device.keep(answers[n] as never))
    deepEqual(await stage.remains(), [])
    deepEqual(await Promise.all(devices.map(device => device.data())), [{}, {}, {}])
  }),

  ...onOneAndTwo('list yields the live sessions of a subject as they are stored', async (stage, one, other) => {
    const before = Date.now()
    const [phone, desk] = [await stage.signedIn(one, { on: 'phone' }), await stage.signedIn(other, { on: 'desk' })]
    await stage.anonymous(one, { user: 'bob' })
    await desk.visit(({ session }) => session.rotateId())
    const expected = await Promise.all(
      [phone, desk].map(async browser => (await browser.visit(({ session }) => [session.key, { ...session }])).value),
    )
    const listed = []
    for await (const { key, data, createdAt, seenAt, expiresAt } of one.sessions.list('ann')) {
      listed.push([key, data])
      const times = [before, createdAt, seenAt, Date.now(), expiresAt]
      deepEqual(
        times,
        times.toSorted((a, b) => a - b),
      )
    }
    const byKey = (a: unknown, b: unknown) => (String(a) < String(b) ? -1 : 1)
    deepEqual(listed.sort(byKey), expected.sort(byKey))
    const nobody = []
    for await (const { key } of other.sessions.list('carl')) nobody.push(key)
    deepEqual(nobody, [])
  }),

  ...onOneAndTwo(
    'a read-only request moves the times of a session and keeps it as it is',
    async (stage, one, other) => {
      const browser = await stage.signedIn(one)
      const [before] = await stage.records()
      while (Date.now() <= (before?.record.seenAt ?? 0)) await pause()
      await browser.visit(() => {}, { site: other })
      const [after] = await stage.records()
      ok(after && before, 'there is one record')
      ok(after.record.seenAt > before.record.seenAt, 'seenAt has moved')
      ok(after.record.expiresAt > before.record.expiresAt, 'expiresAt has moved')
      const { seenAt, expiresAt } = before.record
      deepEqual({ ...after.record, seenAt, expiresAt }, before.record)
    },
    { touchInterval: 0 },
  ),

  {
    title: 'a store sees only the SHA-256 of an id and of a subject',
    run: async stage => {
      const site = await stage.site()
      const browser = await stage.signedIn(site)
      const ids = [browser.id]
      await browser.visit(({ session }) => session.rotateId())
      ids.push(browser.id)
      await browser.visit(async page => {
        await page.session.regenerate()
        page.session.user = 'ann'
      })
      ids.push(browser.id)
      const records = await stage.records()
      const sha256 = (text: string | undefined) => createHash('sha256').update(`${text}`).digest('hex')
      deepEqual(records.map(({ key }) => key).sort(), ids.map(sha256).sort())
      deepEqual(records.map(({ record }) => record.subject).filter(Boolean), [sha256('ann')])
      for (const id of ids) ok(!JSON.stringify(records).includes(`${id}`), 'no id in clear')
    },
  },

  {
    title: 'a made-up id is never adopted',
    run: async stage => {
      const site = await stage.site()
      const browser = await stage.anonymous(site)
      const madeUp = 'A'.repeat(43)
      const headers = { cookie: `sid=${madeUp}` }
      const seen = await browser.send(({ session }) => session.id, { headers })
      notEqual(seen.value, madeUp)
      deepEqual(seen.cookies, [], 'a dead cookie is left alone')
      const { cookies } = await browser.send(
        ({ session }) => {
          session.user = 'ann'
        },
        { headers },
      )
      equal(cookies.length, 1)
      doesNotMatch(`${cookies}`, /AAAAAAAA/)
    },
  },
]

function pause(): Promise<void> {
  const next = gate()
  setImmediate(next.open)
  return next.opened
}
