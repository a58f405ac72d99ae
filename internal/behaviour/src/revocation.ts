import { deepEqual, equal, ok } from 'node:assert/strict'
import type { Browser } from './browser.js'
import { isFull } from './full.js'
import type { Handler, Site } from './site.js'
import { onOneAndTwo, type Stage, type StageCase } from './stage.js'

/** How many of so many rounds are run: a third, unless `FULL` is set. */
const rounds = (count: number): number => (isFull ? count : Math.ceil(count / 3))

const rotate: Handler = ({ session }) => session.rotateId()
const signIn: Handler = ({ session }) => {
  session.user = 'ann'
}

/** Does `visit` again and again. Resolves, once stopped, to how often it did. */
function again(visit: () => Promise<unknown>): () => Promise<number> {
  let isOver = false
  const running = (async () => {
    let n = 0
    for (; !isOver; n++) await visit()
    return n
  })()
  // The caller that stops it gets a failure.
  running.catch(() => {})
  return () => {
    isOver = true
    return running
  }
}

async function listed(site: Site): Promise<string[]> {
  const keys: string[] = []
  for await (const { key } of site.sessions.list('ann')) keys.push(key)
  return keys.sort()
}

const keyOf = async (browser: Browser): Promise<string> =>
  (await browser.visit(({ session }) => session.key)).value as string

/** Ways to carry the data of a session over to another id, without signing in. */
const moves: Record<string, Handler> = {
  rotateId: async ({ session }, pause) => {
    await pause()
    await session.rotateId()
  },
  'a copy after regenerate': async (page, pause) => {
    const old = { ...page.session }
    await page.session.regenerate()
    await pause()
    Object.assign(page.session, old)
  },
  'a copy by regenerate and save': async (page, pause) => {
    const old = { ...page.session }
    await page.session.regenerate()
    Object.assign(page.session, old)
    await pause()
    await page.session.save()
  },
  'a copy after the wait': async (page, pause) => {
    const old = { ...page.session }
    await pause()
    await page.session.regenerate()
    Object.assign(page.session, old)
  },
}

/** All sessions of somebody are ended while that somebody is busy. */
export const revocationCases: StageCase[] = [
  ...onOneAndTwo(
    'however fast sessions change their ids, revokeAll ends every one that existed',
    async (stage, one, other) => {
      const devices = await Promise.all(Array.from({ length: 5 }, (_, n) => stage.signedIn(n % 2 ? one : other)))
      const [crowded] = devices as [Browser]
      const loops = devices.map((device, n) => again(() => device.visit(rotate, { site: n % 2 ? other : one })))
      // One of them sends eight requests at once.
      for (let n = 0; n < 7; n++) loops.push(again(() => crowded.visit(rotate, { site: n % 2 ? other : one })))
      for (let n = 0; n < rounds(4); n++) for (const device of devices) await device.data()
      ok((await other.sessions.revokeAll('ann')) >= devices.length)
      const turns = await Promise.all(loops.map(stop => stop()))
      ok(turns.every(turn => turn > 0))
      deepEqual(await stage.remains(), [])
      deepEqual(await listed(one), [])
      deepEqual(await Promise.all(devices.map(device => device.data())), [{}, {}, {}, {}, {}])
    },
  ),

  ...onOneAndTwo('revokeAll resolves while the subject signs in again and again', async (stage, one, other) => {
    const [old, fresh] = [await stage.signedIn(one), await stage.anonymous(one)]
    const loop = again(() => stage.signedIn(one))
    for (let n = 0; n < 10; n++) await old.data()
    const revoking = other.sessions.revokeAll('ann')
    const begun = Date.now()
    while (Date.now() <= begun) await fresh.data()
    await fresh.visit(signIn)
    ok((await revoking) >= 1)
    await loop()
    deepEqual(await old.data(), {})
    equal((await fresh.data()).user, 'ann', 'a login after the call lives')
  }),

  ...onOneAndTwo('the session that revokeAll excepts lives on with every id it takes', async (stage, one, other) => {
    const devices = await Promise.all(Array.from({ length: 4 }, () => stage.signedIn(one)))
    const [here, ...others] = devices as [Browser, ...Browser[]]
    const loops = others.map((device, n) => again(() => device.visit(rotate, { site: n % 2 ? one : other })))
    let except = await keyOf(here)
    let rotations = 0
    loops.push(
      again(async () => {
        const work: Handler = async ({ session }) => {
          const { user } = session
          return [user, await session.rotateId(), session.key]
        }
        const { value } = await here.visit(work, { site: rotations++ % 2 ? one : other })
        deepEqual(value.slice(0, 2), ['ann', true])
        except = value[2]
      }),
    )
    for (let round = 0; round < rounds(5); round++) {
      await other.sessions.revokeAll('ann', { except })
      const before = rotations
      while (rotations < before + 3) await others[0]?.data()
    }
    await Promise.all(loops.map(stop => stop()))
    equal((await here.data()).user, 'ann')
    deepEqual(await Promise.all(others.map(device => device.data())), [{}, {}, {}])
    deepEqual(await listed(one), [await keyOf(here)])
  }),

  ...Object.entries(moves).flatMap(([way, move]) =>
    onOneAndTwo(
      `a session ended by revokeAll does not come back by ${way} in a slow request`,
      async (stage, one, other) => {
        const device = await stage.signedIn(one)
        const finish = await device.begin(move)
        await other.sessions.revokeAll('ann')
        device.keep(await finish())
        deepEqual(await stage.remains(), [])
        deepEqual(await listed(other), [])
        deepEqual(await device.data(), {})
      },
    ),
  ),

  ...onOneAndTwo('the excepted session is carried over by a slow request', async (stage, one, other) => {
    for (const move of Object.values(moves)) {
      const device = await stage.signedIn(one)
      const except = await keyOf(device)
      const finish = await device.begin(move)
      await other.sessions.revokeAll('ann', { except })
      device.keep(await finish())
      equal((await device.data()).user, 'ann')
      equal(await other.sessions.revokeAll('ann'), 1)
    }
  }),

  ...onOneAndTwo('revoke with a subject ends a session of theirs only, whatever its id', async (stage, one, other) => {
    const [ann, bob] = [await stage.signedIn(one), await stage.signedIn(one, { user: 'bob' })]
    const [hers, his] = [await keyOf(ann), await keyOf(bob)]
    equal(await other.sessions.revoke(his, { subject: 'ann' }), false)
    equal((await bob.data()).user, 'bob')
    await ann.visit(rotate)
    await ann.visit(rotate)
    equal(await other.sessions.revoke(hers, { subject: 'bob' }), false)
    equal((await ann.data()).user, 'ann')
    equal(await other.sessions.revoke(hers, { subject: 'ann' }), true)
    deepEqual(await ann.data(), {})
    equal(await other.sessions.revoke(hers, { subject: 'ann' }), false)
    equal(await other.sessions.revoke(his), true)
    equal(await other.sessions.revoke(his), false)
  }),

  ...onOneAndTwo('revoke with a subject looks at the record it ends', async (stage, one, other) => {
    const device = await stage.signedIn(one)
    const key = await keyOf(device)
    const held = other.store.hold('write')
    const revoking = other.sessions.revoke(key, { subject: 'ann' })
    await held.reached
    const store = await stage.store()
    const record = await store.read(key)
    ok(record)
    const { subject: _, ...rest } = record
    ok(await store.write(key, { ...rest, version: 'nobodys', subject: 'b'.repeat(64) }, record.version))
    held.release()
    equal(await revoking, false)
    equal((await store.read(key))?.version, 'nobodys')
  }),

  ...onOneAndTwo(
    'signing in beyond maxSessionsPerSubject ends the session least recently used',
    async (stage, one, other) => {
      const [first, second, third] = [await aged(stage, one), await aged(stage, other), await aged(stage, one)]
      await first.visit(({ session }) => {
        session.used = true
      })
      await passed()
      const fourth = await stage.signedIn(other)
      const users = async (...browsers: Browser[]) =>
        Promise.all(browsers.map(async browser => (await browser.data()).user))
      deepEqual(await users(first, second, third, fourth), ['ann', undefined, 'ann', 'ann'])
      await stage.signedIn(one, { user: 'bob' })
      const visitor = await stage.anonymous(one)
      await visitor.visit(signIn)
      equal((await listed(one)).length, 3)
      equal((await visitor.data()).user, 'ann', 'never the one that has just signed in')
      equal((await other.sessions.create({ user: 'ann' } as object)).key.length, 64)
      equal((await listed(one)).length, 3)
    },
    { maxSessionsPerSubject: 3, touchInterval: 0 },
  ),

  ...onOneAndTwo(
    'of many logins at once as many live as maxSessionsPerSubject allows, no fewer and no more',
    async (stage, one, other) => {
      for (let round = 0; round < rounds(4); round++) {
        const browsers = await Promise.all(Array.from({ length: 8 }, (_, n) => stage.signedIn(n % 2 ? one : other)))
        const users = await Promise.all(browsers.map(async browser => (await browser.data()).user))
        equal(users.filter(Boolean).length, 3, 'of those that signed in at once')
        equal((await listed(one)).length, 3)
      }
    },
    { maxSessionsPerSubject: 3 },
  ),

  ...onOneAndTwo(
    'with maxSessionsPerSubject 1 the last login is always the only session',
    async (stage, one, other) => {
      for (let round = 0; round < rounds(6); round++) {
        const browsers = await Promise.all([stage.signedIn(one), stage.signedIn(other)])
        const users = await Promise.all(browsers.map(async browser => (await browser.data()).user))
        equal(users.filter(Boolean).length, 1)
        const last = await stage.signedIn(round % 2 ? one : other)
        equal((await last.data()).user, 'ann')
        deepEqual(await listed(one), [await keyOf(last)])
      }
    },
    { maxSessionsPerSubject: 1 },
  ),
]

async function passed(): Promise<void> {
  const begun = Date.now()
  while (Date.now() <= begun) await new Promise(setImmediate)
}

async function aged(stage: Stage, site: Site): Promise<Browser> {
  await passed()
  return stage.signedIn(site)
}
