import { createHash } from 'node:crypto'
import type { IncomingMessage, Server } from 'node:http'
import { syncBuiltinESMExports } from 'node:module'
import type { Socket } from 'node:net'
import nodeTimers from 'node:timers'
import type { ExecutionContext } from 'ava'
import {
  type EnumerableStore,
  headerTransport,
  isSessionError,
  memoryStore,
  type SessionRecord,
  type Sessions,
  type Store,
  type SweepableStore,
  session,
} from 'koa-session-core'
import { type Bag, gate, type Handler, type Site, type SiteOptions, site, watched } from '../support/app.js'
import type { Client } from '../support/client.js'
import { raw } from '../support/raw.js'
import { test } from '../support/test.js'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const subject = (data: object) => (data as { user?: string }).user
const secure = { 'x-forwarded-proto': 'https' }
const sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

const handlers: Record<string, Handler> = {
  '/login': ctx => {
    ctx.session.user = 'ada'
  },
  '/get': ctx => ({ ...ctx.session }),
  '/key': ctx => ctx.session.key,
  '/rotate': ctx => ctx.session.rotateId(),
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

/** A store that can neither list nor sweep. */
function plain({ sweep: _sweep, keys: _keys, ...store }: SweepableStore & EnumerableStore = memoryStore()): Store {
  return { ...store, name: 'plain' }
}

test("create's cookie works on plain and on secure requests", async t => {
  const { client, sessions } = await site(t, handlers, {
    before: app => {
      app.proxy = true
    },
  })
  const { id, key, cookie } = await sessions.create({ user: 'ada', n: 1 } as object)
  t.regex(id, /^[\w-]{43}$/)
  t.is(key, sha256(id))
  t.is(cookie, `__Host-sid=${id}; sid=${id}`, 'a Cookie header value under every name the id may be read by')
  t.deepEqual((await client().get('/get', { headers: { cookie } })).json, { user: 'ada', n: 1 })
  t.deepEqual((await client().get('/get', { headers: { cookie, ...secure } })).json, { user: 'ada', n: 1 })
})

test('the cookie of create carries every name the id may be read under, and no other', async t => {
  for (const [cookie, names] of [
    [{ name: 'id' }, ['id']],
    [{ path: '/app' }, ['__Secure-sid', 'sid']],
    [{ domain: 'example.com' }, ['__Secure-sid', 'sid']],
    [{ secure: true }, ['__Host-sid']],
    [{ secure: true, path: '/app' }, ['__Secure-sid']],
    [{ secure: false, path: '/app' }, ['sid']],
    [{ secure: false }, ['sid']],
    [{ name: '__Secure-id', secure: true }, ['__Secure-id']],
  ] as const) {
    const { sessions } = await site(t, handlers, { cookie })
    const made = await sessions.create({ n: 1 } as object)
    t.is(made.cookie, names.map(name => `${name}=${made.id}`).join('; '))
  }
  const { sessions } = await site(t, handlers, { transport: headerTransport({ name: 'X-Session' }) })
  t.is((await sessions.create({ n: 1 } as object)).cookie, '')
})

test('create makes a session as a request would: with its subject, its maxAge and its limits', async t => {
  const { client, sessions } = await site(
    t,
    { ...handlers, '/age': ctx => [ctx.session.isNew, ctx.session.maxAge, ctx.session.expiresAt - Date.now()] },
    { subject, maxAge: 60_000, maxBytes: 500 },
  )
  const { cookie, key } = await sessions.create({ user: 'ada' } as object)
  const [isNew, maxAge, left] = (await client().get('/age', { headers: { cookie } })).json
  t.false(isNew)
  t.is(maxAge, 60_000)
  t.true(left > 30_000 && left <= 60_000)
  t.deepEqual(
    (await all(sessions.list('ada'))).map(info => info.key),
    [key],
  )
  const large = await t.throwsAsync(sessions.create({ text: 'x'.repeat(500) } as object))
  t.true(isSessionError(large) && large.code === 'ERR_SESSION_TOO_LARGE')
  const odd = await t.throwsAsync(sessions.create({ run: () => {} } as object))
  t.true(isSessionError(odd) && odd.code === 'ERR_SESSION_ENCODE')
})

test('create takes nothing but an object of data, and leaves it alone', async t => {
  const sessions = session()
  for (const data of [null, undefined, 5, 'x', [], new Map(), Promise.resolve({})]) {
    await t.throwsAsync(sessions.create(data as never), {
      instanceOf: TypeError,
      message: /create\(data\): data must be/,
    })
  }
  await t.throwsAsync(sessions.create({ id: 'x' } as object), {
    instanceOf: TypeError,
    message: /session\.id is a member/,
  })
  await t.notThrowsAsync(sessions.create(Object.freeze({ deep: Object.freeze([1]) }) as object))
})

/** A site whose upgrade requests are answered by what `work` makes of the session that `open` finds. */
async function upgrading(
  t: ExecutionContext,
  work: (bag: Bag | undefined, req: IncomingMessage, sessions: Sessions) => unknown,
  options: SiteOptions = {},
): Promise<Site & { upgrade(cookie: string): Promise<any> }> {
  const place = await site(t, handlers, {
    ...options,
    wrap: (app, sessions) => {
      const listen = app.listen.bind(app) as (...args: unknown[]) => Server
      app.listen = ((...args: unknown[]) =>
        listen(...args).on('upgrade', async (req: IncomingMessage, socket: Socket) => {
          const answer = async () => work((await sessions.open(req)) as Bag | undefined, req, sessions)
          const text = await answer().then(
            value => JSON.stringify({ value }),
            error => JSON.stringify({ error: error.name, code: error.code, message: error.message }),
          )
          socket.end(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n${text}`)
        })) as typeof app.listen
    },
  })
  const head = 'GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: test\r\n'
  return {
    ...place,
    async upgrade(cookie) {
      const text = await raw(place.url, `${head}${cookie && `Cookie: ${cookie}\r\n`}\r\n`)
      return JSON.parse(text.slice(text.indexOf('\r\n\r\n')))
    },
  }
}

test('open gives the session of an upgrade request, and save() keeps what changed', async t => {
  const { client, upgrade } = await upgrading(t, async bag => {
    if (!bag) return 'none'
    const before = [bag.isNew, bag.user, bag.n]
    bag.n = (bag.n ?? 0) + 1
    return [...before, await bag.save(), bag.n]
  })
  const one = client()
  await one.get('/login')
  const cookie = `sid=${one.jar.get('sid')}`
  t.deepEqual((await upgrade(cookie)).value, [false, 'ada', null, true, 1])
  t.deepEqual((await upgrade(cookie)).value, [false, 'ada', 1, true, 2])
  t.deepEqual((await one.get('/get')).json, { user: 'ada', n: 2 })
})

test('without save() what changed in an open session is not kept', async t => {
  const { client, upgrade } = await upgrading(t, bag => {
    if (bag) bag.n = 1
  })
  const one = client()
  await one.get('/login')
  await upgrade(`sid=${one.jar.get('sid')}`)
  t.deepEqual((await one.get('/get')).json, { user: 'ada' })
})

test('open resolves to undefined where there is no session', async t => {
  const store = watched(memoryStore())
  const { upgrade, sessions, client, errors } = await upgrading(t, bag => (bag ? 'found' : 'none'), { store })
  for (const cookie of ['', 'a=b', 'sid=', 'sid=x', `sid=${'a'.repeat(44)}`, 'sid=__proto__']) {
    t.is((await upgrade(cookie)).value, 'none', cookie)
  }
  t.deepEqual(store.calls, [], 'what is no id causes no store call')
  t.is((await upgrade(`sid=${'A'.repeat(43)}`)).value, 'none', 'a made-up id')
  const { id, key, cookie } = await sessions.create({ n: 1 } as object)
  t.is((await upgrade(cookie)).value, 'found')
  await client().get('/rotate', { headers: { cookie } })
  t.is((await upgrade(cookie)).value, 'none', 'an id that was rotated away')
  await sessions.revoke(key)
  t.is((await upgrade(`sid=${id}`)).value, 'none', 'one that was revoked')
  t.deepEqual(errors, [])
})

test('open of a record that cannot be decoded is undefined and ERR_SESSION_DECODE to onError', async t => {
  const store = memoryStore()
  const heard: unknown[] = []
  const onError = (error: Error) => void heard.push(error)
  const sealed = session({ store, encryptionKeys: ['a passphrase of more than 32 characters'] })
  const { cookie } = await sealed.create({ n: 1 } as object)
  const { upgrade } = await upgrading(t, bag => (bag ? 'found' : 'none'), { store, onError })
  t.is((await upgrade(cookie)).value, 'none')
  t.deepEqual(
    heard.map(error => isSessionError(error) && error.code),
    ['ERR_SESSION_DECODE'],
  )
})

test('open takes __Host-sid, else sid, since it cannot know the proxy', async t => {
  const { sessions, upgrade } = await upgrading(t, bag => bag?.name ?? 'none')
  const host = await sessions.create({ name: 'host' } as object)
  const other = await sessions.create({ name: 'plain' } as object)
  t.is((await upgrade(`sid=${other.id}; __Host-sid=${host.id}`)).value, 'host')
  t.is((await upgrade(`__Host-sid=${host.id}`)).value, 'host')
  t.is((await upgrade(`sid=${other.id}`)).value, 'plain')
  t.is((await upgrade(`__Host-sid=x; sid=${other.id}`)).value, 'plain', 'what is no id is passed over')
  const dead = 'A'.repeat(43)
  t.is((await upgrade(`__Host-sid=${dead}; sid=${other.id}`)).value, 'plain', 'and so is a dead one')
  t.is((await upgrade(`sid=${dead}; sid=${other.id}; sid=${host.id}`)).value, 'plain')
})

test('open reads what the transport reads', async t => {
  const { sessions, upgrade } = await upgrading(t, bag => bag?.n ?? 'none', {
    transport: {
      read: req => /ticket=([\w-]+)/.exec(req.headers.cookie ?? '')?.[1],
      write() {},
    },
  })
  const { id } = await sessions.create({ n: 7 } as object)
  t.is((await upgrade(`ticket=${id}`)).value, 7)
  t.is((await upgrade(`sid=${id}`)).value, 'none')
})

test('a session from open is not touched', async t => {
  const store = watched(memoryStore())
  const { sessions, upgrade, client } = await upgrading(t, bag => bag?.save(), { store, touchInterval: 0 })
  const { cookie } = await sessions.create({ n: 1 } as object)
  await sleep(5)
  store.calls.length = 0
  t.true((await upgrade(cookie)).value)
  t.deepEqual(store.calls, ['read'])
  await client().get('/key', { headers: { cookie } })
  t.deepEqual(store.calls, ['read', 'read', 'touch'], 'as a request would have done')
})

test('update works on a session from open', async t => {
  const { sessions, upgrade, client } = await upgrading(t, async bag => {
    const one = bag?.update(data => {
      const counter = data as { n: number }
      counter.n++
    })
    return [await one, bag?.n]
  })
  const { cookie } = await sessions.create({ n: 0 } as object)
  const answers = await Promise.all(Array.from({ length: 10 }, () => upgrade(cookie)))
  t.deepEqual(
    answers.map(({ value }) => value[1]).sort((a, b) => a - b),
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
  )
  t.deepEqual((await client().get('/get', { headers: { cookie } })).json, { n: 10 })
})

test('changing the id of a session from open is an error, by rotateId, regenerate or a change of subject', async t => {
  const ways: Record<string, (bag: Bag) => unknown> = {
    rotateId: bag => bag.rotateId(),
    regenerate: bag => bag.regenerate(),
    'regenerate with a callback': bag => new Promise((_, reject) => bag.regenerate(reject)),
    'save after a change of subject': bag => {
      bag.user = 'bob'
      return bag.save()
    },
    'update of the subject': bag =>
      bag.update(data => {
        Object.assign(data, { user: 'bob' })
      }),
  }
  for (const [way, change] of Object.entries(ways)) {
    const { sessions, upgrade, client } = await upgrading(t, bag => change(bag as Bag), { subject })
    const { cookie } = await sessions.create({ user: 'ada' } as object)
    const answer = await upgrade(cookie)
    t.is(answer.error, 'TypeError', way)
    t.regex(answer.message, /a session from open\(\) can/, way)
    t.deepEqual((await client().get('/get', { headers: { cookie } })).json, { user: 'ada' }, way)
    t.is((await all(sessions.list('ada'))).length, 1)
  }
})

test('signing out in a session from open is kept, and destroy ends it', async t => {
  const { sessions, upgrade, client } = await upgrading(
    t,
    async (bag, req) => {
      if (!bag) return 'none'
      if (req.headers.cookie?.endsWith('end')) return [await bag.destroy(), await bag.save()]
      delete bag.user
      return bag.save()
    },
    { subject },
  )
  const { cookie } = await sessions.create({ user: 'ada', n: 1 } as object)
  t.true((await upgrade(cookie)).value)
  t.deepEqual((await client().get('/get', { headers: { cookie } })).json, { n: 1 })
  t.deepEqual(await all(sessions.list('ada')), [])
  t.deepEqual((await upgrade(`${cookie}; x=end`)).value, [null, false])
  t.deepEqual((await client().get('/get', { headers: { cookie } })).json, {})
})

test('open rejects while the store is down, and failures that were not awaited go to onError', async t => {
  const store = watched(memoryStore())
  const heard: unknown[] = []
  const { sessions, upgrade } = await upgrading(
    t,
    bag => {
      if (bag) bag.n = 2
      void bag?.save()
    },
    { store, onError: error => void heard.push(error) },
  )
  const { cookie } = await sessions.create({ n: 1 } as object)
  store.before = operation => {
    if (operation === 'write') throw new Error('down')
  }
  t.deepEqual(await upgrade(cookie), {})
  while (heard.length === 0) await sleep(5)
  t.true(isSessionError(heard[0]) && heard[0].code === 'ERR_SESSION_STORE')
  store.before = () => {
    throw new Error('down')
  }
  t.like(await upgrade(cookie), { error: 'SessionError', code: 'ERR_SESSION_STORE' })
  t.is(heard.length, 1)
})

test('list yields key, data, createdAt, seenAt and expiresAt of the live sessions of a subject', async t => {
  const store = memoryStore()
  const { sessions, client } = await site(t, handlers, { store, subject, idleTimeout: 50_000 })
  const started = Date.now()
  const keys: string[] = []
  for (let n = 0; n < 3; n++) keys.push((await sessions.create({ user: 'ada', n } as object)).key)
  await sessions.create({ user: 'bob' } as object)
  await sessions.create({ n: 5 } as object)
  const one = client()
  await one.get('/login')
  await one.get('/rotate')
  keys.push(sha256(one.jar.get('sid') as string))
  const gone = await sessions.create({ user: 'ada' } as object)
  await sessions.revoke(gone.key)
  const now = Date.now()
  const old = { data: `1;${now};session;0\n{"user":"ada"}`, seenAt: now, version: 'v', subject: sha256('ada') }
  await store.write(sha256('old'), { ...old, expiresAt: now + 20 }, null)
  await sleep(30)

  const listed = await all(sessions.list('ada'))
  t.deepEqual(listed.map(({ key }) => key).sort(), keys.sort(), 'no tombstone, nothing ended, expired or of another')
  const [first] = listed.filter(({ data }) => (data as { n?: number }).n === 0)
  t.deepEqual(first?.data as object, { user: 'ada', n: 0 })
  t.deepEqual(Object.keys(first ?? {}).sort(), ['createdAt', 'data', 'expiresAt', 'key', 'seenAt'])
  t.true(listed.every(({ createdAt }) => createdAt >= started && createdAt <= Date.now()))
  t.true(listed.every(({ seenAt, createdAt }) => seenAt >= createdAt && seenAt <= Date.now()))
  t.true(listed.every(({ seenAt, expiresAt }) => expiresAt === seenAt + 50_000))
  t.deepEqual(await all(sessions.list('nobody')), [])
  t.deepEqual(await all(sessions.list('')), [])
})

test('list can be left early, and reads only the sessions that were asked for', async t => {
  let closed = 0
  const inner = memoryStore()
  const store: EnumerableStore = {
    ...inner,
    async *keys(call) {
      try {
        yield* inner.keys(call)
      } finally {
        closed++
      }
    },
  }
  const counted = watched(store)
  const { sessions } = await site(t, handlers, { store: counted, subject })
  for (let n = 0; n < 5; n++) await sessions.create({ user: 'ada', n } as object)
  counted.calls.length = 0
  for await (const { key } of sessions.list('ada')) {
    t.is(key.length, 64)
    break
  }
  t.deepEqual(counted.calls, ['read'])
  t.is(closed, 1, "the store's own iteration is over")
})

test('a session that cannot be decoded does not hide the others from list, and revokeAll ends it', async t => {
  const store = memoryStore()
  const heard: unknown[] = []
  const options = { store, subject, onError: (error: Error) => void heard.push(error) }
  const old = session({ ...options, encryptionKeys: ['a passphrase of more than 32 characters'] })
  await old.create({ user: 'ada', n: 1 } as object)
  const sessions = session({ ...options, encryptionKeys: ['a newer passphrase, the old one is lost'] })
  const { key } = await sessions.create({ user: 'ada', n: 2 } as object)
  t.deepEqual(
    (await all(sessions.list('ada'))).map(info => info.key),
    [key],
  )
  t.deepEqual(
    heard.map(error => isSessionError(error) && error.code),
    ['ERR_SESSION_DECODE'],
  )
  t.is(await sessions.revokeAll('ada'), 2)
  t.deepEqual(await all(store.keys({ subject: sha256('ada') })), [])
})

test('list does not show a session that became somebody else’s while it was found', async t => {
  const inner = memoryStore()
  const store: EnumerableStore = { ...inner, keys: () => inner.keys() }
  const sessions = session({ store, subject })
  const { key } = await sessions.create({ user: 'ada' } as object)
  await sessions.create({ user: 'bob' } as object)
  t.deepEqual(
    (await all(sessions.list('ada'))).map(info => info.key),
    [key],
  )
})

test('revoke ends the session under a key, wherever it went', async t => {
  const { client, sessions } = await site(t, handlers, { subject })
  const [one, two] = [client(), client()]
  await one.get('/login')
  await two.get('/login')
  const key = (await one.get('/key')).json
  t.true(await sessions.revoke(key))
  t.false(await sessions.revoke(key))
  t.deepEqual((await one.get('/get')).json, {})
  t.deepEqual((await two.get('/get')).json, { user: 'ada' })
  const before = (await two.get('/key')).json
  await two.get('/rotate')
  await two.get('/rotate')
  t.deepEqual((await two.get('/get')).json, { user: 'ada' })
  t.true(await sessions.revoke(before))
  t.deepEqual((await two.get('/get')).json, {}, 'its id had changed twice since')
  t.false(await sessions.revoke(sha256('nothing there')))
})

test('revoke takes a key: anything else is a TypeError that does not repeat it', async t => {
  const sessions = session()
  const { id, key } = await sessions.create({ n: 1 } as object)
  for (const wrong of [id, key.toUpperCase(), key.slice(1), '', undefined, null, 5, {}]) {
    const error = await t.throwsAsync(sessions.revoke(wrong as string), { instanceOf: TypeError })
    t.is(error?.message, 'revoke(key): key must be 64 lower-case hex characters')
  }
})

test('revokeAll ends every session of a subject but the one under except, and says how many', async t => {
  const { client, sessions } = await site(t, handlers, { subject })
  const browsers = [client(), client(), client(), client()]
  for (const browser of browsers) await browser.get('/login')
  await browsers[3]?.get('/rotate')
  const bob = await sessions.create({ user: 'bob' } as object)
  const mine = (await browsers[0]?.get('/key'))?.json
  t.is(await sessions.revokeAll('ada', { except: mine }), 3)
  const left = await Promise.all(browsers.map(async browser => (await browser.get('/get')).json))
  t.deepEqual(left, [{ user: 'ada' }, {}, {}, {}])
  t.deepEqual(
    (await all(sessions.list('ada'))).map(({ key }) => key),
    [mine],
  )
  t.is(await sessions.revokeAll('ada', { except: mine }), 0)
  t.is(await sessions.revokeAll('ada'), 1)
  t.is(await sessions.revokeAll('ada'), 0)
  t.is(await sessions.revokeAll('nobody'), 0)
  t.deepEqual((await client().get('/get', { headers: { cookie: bob.cookie } })).json, { user: 'bob' })
  const { id } = await sessions.create({ user: 'ada' } as object)
  await t.throwsAsync(sessions.revokeAll('ada', { except: id }), {
    instanceOf: TypeError,
    message: /except must be a key/,
  })
  t.is((await all(sessions.list('ada'))).length, 1, 'nothing was ended')
})

test('revokeAll ends also a session whose id changes meanwhile', async t => {
  const inner = memoryStore()
  let rotate: (() => Promise<unknown>) | undefined
  let verified = false
  const store: EnumerableStore = {
    ...inner,
    async *keys(call) {
      const found = await all(inner.keys(call))
      // The listed session rotates before it is ended, and its new key is not listed.
      await rotate?.()
      rotate = undefined
      const left = new Set(verified ? await all(inner.keys(call)) : found)
      for (const key of found) if (left.has(key)) yield key
    },
  }
  const { client, sessions } = await site(t, handlers, { store, subject })
  for (verified of [false, true]) {
    const one = client()
    await one.get('/login')
    rotate = () => one.get('/rotate')
    await sessions.revokeAll('ada')
    t.falsy(rotate)
    t.deepEqual(await all(sessions.list('ada')), [], `${verified}`)
    t.deepEqual((await one.get('/get')).json, {})
  }
})

/** A site with three signed-in clients, whose store lists what it held before `meanwhile` and still holds after it. */
async function listingWhile(t: ExecutionContext, meanwhile: (clients: Client[]) => Promise<unknown>) {
  const inner = memoryStore()
  const clients: Client[] = []
  let passes = 0
  let isWatched = false
  const store: EnumerableStore = {
    ...inner,
    async *keys(call) {
      const found = await all(inner.keys(call))
      if (isWatched) passes++
      if (isWatched) await meanwhile(clients)
      const left = new Set(await all(inner.keys(call)))
      for (const key of found) if (left.has(key)) yield key
    },
  }
  const { client, sessions, url } = await site(
    t,
    {
      ...handlers,
      '/copy': async ctx => {
        const old = { ...ctx.session }
        await ctx.session.regenerate()
        Object.assign(ctx.session, old)
      },
    },
    { store, subject },
  )
  for (let n = 0; n < 3; n++) {
    clients.push(client())
    await clients[n]?.get('/login')
  }
  return {
    store: inner,
    sessions,
    client,
    url,
    clients,
    async revokeAll(options?: { except?: string }) {
      isWatched = true
      const count = await sessions.revokeAll('ada', options)
      isWatched = false
      return { count, passes }
    },
    users: () => Promise.all(clients.map(async each => (await each.get('/get')).json.user)),
  }
}

for (const path of ['/rotate', '/copy']) {
  test(`revokeAll ends a session that every listing passes over, because of ${path} meanwhile`, async t => {
    const { revokeAll, users, store } = await listingWhile(t, clients => Promise.all(clients.map(one => one.get(path))))
    const { count, passes } = await revokeAll()
    // One that was being regenerated is no session at that moment.
    t.is(count, path === '/rotate' ? 3 : 0)
    t.is(passes, 2)
    t.deepEqual(await users(), [undefined, undefined, undefined])
    t.deepEqual(await all(store.keys({ subject: sha256('ada') })), [])
  })

  test(`the session under except lives on while every listing passes over it, because of ${path} meanwhile`, async t => {
    const { revokeAll, users, clients, sessions } = await listingWhile(t, async clients => {
      for (const one of clients) await one.get(path)
      for (const one of clients) await one.get(path)
    })
    const except = (await clients[0]?.get('/key'))?.json
    t.is((await revokeAll({ except })).count, path === '/rotate' ? 2 : 0)
    t.deepEqual(await users(), ['ada', undefined, undefined])
    t.is((await all(sessions.list('ada'))).length, 1)
    for (let n = 0; n < 3; n++) await clients[0]?.get(path)
    t.deepEqual(await users(), ['ada', undefined, undefined])
  })
}

test('revokeAll resolves, and leaves new logins alone, while listings never show the same sessions', async t => {
  let fresh: Client[] = []
  const place = await listingWhile(t, async () => {
    fresh = Array.from({ length: 10 }, () => place.client())
    await sleep(2)
    await Promise.all(fresh.map(one => one.get('/login')))
  })
  const { count, passes } = await place.revokeAll()
  t.deepEqual([count, passes], [3, 2])
  t.is((await all(place.sessions.list('ada'))).length, 20)
  for (const one of fresh) t.deepEqual((await one.get('/get')).json, { user: 'ada' })
})

test('revokeAll leaves nothing of its own in the store, even if two run at once', async t => {
  const { sessions, store, clients } = await listingWhile(t, async () => {})
  const [one, two] = await Promise.all(clients.slice(0, 2).map(async each => (await each.get('/key')).json))
  const counts = await Promise.all([
    sessions.revokeAll('ada', { except: one }),
    sessions.revokeAll('ada', { except: two }),
  ])
  t.is(counts[0] + counts[1], 3, 'each session is counted once')
  t.deepEqual(await all(store.keys()), [])
})

test('after a revokeAll that failed sessions change their ids again', async t => {
  const { sessions, store, clients } = await listingWhile(t, async () => {})
  let isDown = true
  const halting: EnumerableStore = {
    ...store,
    async *keys(call) {
      if (isDown) throw new Error('down')
      yield* store.keys(call)
    },
  }
  const failing = session({ subject, store: halting })
  await t.throwsAsync(failing.revokeAll('ada'), { message: /keys failed/ })
  isDown = false
  t.true((await clients[0]?.get('/rotate'))?.json)
  t.is(await sessions.revokeAll('ada'), 3)
})

test('a login counts although maxSessionsPerSubject cannot be enforced: the failure goes to onError', async t => {
  const heard: unknown[] = []
  const halting: EnumerableStore = {
    ...memoryStore(),
    async *keys() {
      yield await Promise.reject(new Error('down'))
    },
  }
  const { client, sessions } = await site(t, handlers, {
    store: halting,
    subject,
    maxSessionsPerSubject: 1,
    onError: error => void heard.push(error),
  })
  const one = client()
  t.is((await one.get('/login')).status, 204)
  t.deepEqual((await one.get('/get')).json, { user: 'ada' })
  await t.notThrowsAsync(sessions.create({ user: 'ada' } as object))
  t.deepEqual(
    heard.map(error => isSessionError(error) && error.code),
    ['ERR_SESSION_STORE', 'ERR_SESSION_STORE'],
  )
})

test('a login that has made itself the newest since another one looked is not ended by that one', async t => {
  const inner = memoryStore()
  const stores = [watched(inner), watched(inner)] as const
  const [here, there] = await Promise.all(
    stores.map(store =>
      site(
        t,
        {
          '/login': ctx => {
            ctx.session.user = 'ada'
          },
        },
        { store, subject: data => (data as { user?: string }).user, maxSessionsPerSubject: 2, storeTimeout: 30_000 },
      ),
    ),
  )
  const login = async (one: Site | undefined) => (await one?.client().get('/login'))?.status
  const [began, late, moves, moved, looked, sees] = Array.from({ length: 6 }, () => gate())
  let key = ''
  stores[0].before = async (operation, own) => {
    if (operation !== 'write') return
    key = own
    began?.open()
    await late?.promise
  }
  const oldest = login(here)
  await began?.promise
  // Sessions of one millisecond stand in any order.
  await new Promise(done => setTimeout(done, 5))
  stores[0].before = async (operation, own) => {
    if (operation !== 'write' || own !== key) return
    moves?.open()
    await moved?.promise
  }
  await login(there)
  await login(there)
  late?.open()
  // It stands first of three, and makes itself the newest.
  await moves?.promise
  await new Promise(done => setTimeout(done, 5))
  let reads = 0
  stores[1].before = async (operation, own) => {
    if (operation !== 'read' || own !== key || ++reads !== 2) return
    looked?.open()
    await sees?.promise
  }
  const newest = login(there)
  // It saw the oldest where it stood before, and is about to end it.
  await looked?.promise
  moved?.open()
  t.is(await oldest, 204)
  sees?.open()
  t.is(await newest, 204)
  const left = []
  for await (const { key } of here?.sessions.list('ada') ?? []) left.push(key)
  t.is(left.length, 2)
})

test('a login beside a rotation ends no session too many: the copy is no session of its own', async t => {
  const inner = memoryStore()
  const store = watched(inner)
  const { client, sessions } = await site(
    t,
    {
      '/login': ctx => {
        ctx.session.user = 'ada'
      },
      '/rotate': ctx => ctx.session.rotateId(),
      '/get': ctx => ({ ...ctx.session }),
    },
    { store, subject: data => (data as { user?: string }).user, maxSessionsPerSubject: 3 },
  )
  const [oldest, rotating, fresh] = [client(), client(), client()]
  await oldest.get('/login')
  await rotating.get('/login')
  const arrived = gate()
  const late = gate()
  store.before = async (operation, _key, record) => {
    if (operation !== 'write' || !record?.data.startsWith('0;')) return
    arrived.open()
    await late.promise
  }
  const rotated = rotating.get('/rotate')
  await arrived.promise
  await fresh.get('/login')
  late.open()
  t.is((await rotated).json, true)
  const left = []
  for await (const { key } of sessions.list('ada')) left.push(key)
  t.is(left.length, 3)
  t.deepEqual((await oldest.get('/get')).json, { user: 'ada' })
})

test('with maxSessionsPerSubject only a request that signs in lists sessions', async t => {
  let listings = 0
  const inner = memoryStore()
  const counting: EnumerableStore = {
    ...inner,
    keys(call) {
      listings++
      return inner.keys(call)
    },
  }
  const { client } = await site(t, handlers, { store: counting, subject, maxSessionsPerSubject: 2 })
  const one = client()
  await one.get('/login')
  t.is(listings, 1)
  for (const path of ['/get', '/login', '/rotate', '/key']) await one.get(path)
  t.is(listings, 1)
})

test('a login that makes itself the newest takes nothing back of what its request stored meanwhile', async t => {
  const inner = memoryStore()
  const arrived = gate()
  const late = gate()
  const store: EnumerableStore = {
    ...inner,
    async destroy(key, call) {
      arrived.open()
      await late.promise
      await inner.destroy(key, call)
    },
  }
  const { client, sessions } = await site(
    t,
    {
      ...handlers,
      '/both': async ctx => {
        Object.assign(ctx.session, { user: 'ada', n: 1 })
        const saving = ctx.session.save()
        await arrived.promise
        const updated = await ctx.session.update(bag => void (bag as Bag).n++)
        late.open()
        const saved = await saving
        ctx.session.n++
        return [updated, saved]
      },
    },
    { store, subject, maxSessionsPerSubject: 1 },
  )
  const { key } = await sessions.create({ user: 'ada' } as object)
  const { version } = (await inner.read(key)) as SessionRecord
  const now = Date.now()
  await inner.touch(key, { seenAt: now + 60_000, expiresAt: now + 600_000 }, version)
  const one = client()
  t.deepEqual((await one.get('/both')).json, [true, true])
  t.deepEqual((await one.get('/get')).json, { user: 'ada', n: 3 })
})

test('what ends a session is over by every clock, however slow', async t => {
  const inner = memoryStore()
  const written: number[] = []
  const store: Store = {
    ...inner,
    write(key, record, ...rest) {
      written.push(record.expiresAt)
      return inner.write(key, record, ...rest)
    },
  }
  const sessions = session({ store })
  const { key } = await sessions.create({ n: 1 } as object)
  t.true(await sessions.revoke(key))
  t.is(written.at(-1), 0)
})

test('revoke and revokeAll refuse wrong arguments without repeating them', async t => {
  const sessions = session({ subject })
  const { key } = await sessions.create({ user: 'ada' } as object)
  const canary = { secret: 'canary-7391' }
  for (const [call, message] of [
    [() => sessions.revoke(key, 'canary-7391' as never), /^revoke\(\): options must be an object, got a string$/],
    [() => sessions.revoke(key, null as never), /^revoke\(\): options must be an object, got null$/],
    [() => sessions.revoke(key, { subject: canary as never }), /^subject must be a string, got /],
    [() => sessions.revoke(key, { subject: null as never }), /^subject must be a string, got null$/],
    // A page of devices that nobody is signed in to must not end sessions of anybody.
    [() => sessions.revoke(key, { subject: undefined as never }), /^subject must be a string, got undefined$/],
    [
      () => sessions.revoke(key, { Subject: canary } as never),
      /^revoke\(\): option Subject is unknown: did you mean subject\?$/,
    ],
    [
      () => sessions.revoke(key, { owner: 'canary-7391' } as never),
      /^revoke\(\): option owner is unknown; the options are subject$/,
    ],
    [
      () => sessions.revokeAll('ada', { expect: key } as never),
      /^revokeAll\(\): option expect is unknown: did you mean except\?$/,
    ],
    [
      () => sessions.revokeAll('ada', { [key]: true } as never),
      /^revokeAll\(\): option \(name not shown\) is unknown; the options are except$/,
    ],
    [
      () => sessions.revokeAll('ada', 'canary-7391' as never),
      /^revokeAll\(\): options must be an object, got a string$/,
    ],
    [
      () => sessions.revokeAll('ada', Promise.resolve({ except: key }) as never),
      /got a Promise, which must be awaited/,
    ],
    [() => sessions.revokeAll(canary as never), /^subject must be a string, got /],
    [() => sessions.revokeAll('ada', { except: 'canary-7391' }), /^revokeAll\(\): except must be a key/],
    [() => session().revoke(key, { subject: 'ada' }), /needs the option subject/],
  ] as const) {
    const error = await t.throwsAsync(call(), { instanceOf: TypeError, message })
    t.notRegex(`${error?.message}`, /canary|7391/)
  }
  t.true(await sessions.revoke(key, {}), 'no call above destroyed it')
})

test('without subject, or on a store that cannot enumerate, list and revokeAll reject with a TypeError', async t => {
  const without = session()
  const cannot = session({ store: plain(), subject })
  const cases: [Sessions, RegExp][] = [
    [without, /need the option subject/],
    [cannot, /need a store with the method keys; store plain has none/],
  ]
  for (const [sessions, message] of cases) {
    const list = sessions.list('ada')
    t.is(typeof list[Symbol.asyncIterator], 'function', 'it rejects, it does not throw')
    await t.throwsAsync(all(list), { instanceOf: TypeError, message })
    await t.throwsAsync(sessions.revokeAll('ada'), { instanceOf: TypeError, message })
    await t.notThrowsAsync(sessions.revoke((await sessions.create({ user: 'ada' } as object)).key))
  }
  for (const wrong of [undefined, null, 5, {}]) {
    const sessions = session({ subject })
    await t.throwsAsync(all(sessions.list(wrong as never)), {
      instanceOf: TypeError,
      message: /subject must be a string/,
    })
    await t.throwsAsync(sessions.revokeAll(wrong as never), { instanceOf: TypeError })
  }
})

test('on a store that hangs every method rejects with ERR_SESSION_TIMEOUT', async t => {
  const hang = () => new Promise<never>(() => {})
  const inner = memoryStore()
  const store: SweepableStore & EnumerableStore = {
    ...inner,
    ...{ read: hang, write: hang, destroy: hang, sweep: hang },
    async *keys() {
      yield await hang()
    },
  }
  const sessions = session({ store, subject, storeTimeout: 40 })
  const key = sha256('any')
  const req = { headers: { cookie: `sid=${'A'.repeat(43)}` } } as IncomingMessage
  const calls = [
    sessions.create({ n: 1 } as object),
    sessions.open(req),
    all(sessions.list('ada')),
    sessions.revoke(key),
    sessions.revokeAll('ada'),
    sessions.sweep(),
  ]
  for (const call of calls) {
    const error = await t.throwsAsync(call)
    t.true(isSessionError(error) && error.code === 'ERR_SESSION_TIMEOUT')
  }
})

test('the signal of an enumeration that failed is aborted', async t => {
  let signal: AbortSignal | undefined
  const store: EnumerableStore = {
    ...memoryStore(),
    async *keys(call) {
      signal = call?.signal
      yield await new Promise<never>(() => {})
    },
  }
  const sessions = session({ store, subject, storeTimeout: 30 })
  await t.throwsAsync(all(sessions.list('ada')))
  t.true(signal?.aborted)
})

test('sweep deletes what expired an hour ago and resolves to how many, 0 where the backend does that by itself', async t => {
  const inner = memoryStore()
  const sessions = session({ store: inner })
  for (const ago of [3_600_000, 3_700_000, 3_800_000, 3_500_000, 1]) {
    const { key } = await sessions.create({ ago } as object)
    const { version = '', seenAt = 0 } = (await inner.read(key)) ?? {}
    await inner.touch(key, { seenAt, expiresAt: Date.now() - ago }, version)
  }
  t.is(await sessions.sweep(), 3)
  t.is(await sessions.sweep(), 0)
  t.is(await session({ store: plain(inner) }).sweep(), 0)
})

/** A memory store that counts sweeps. */
function sweepable() {
  const inner = memoryStore()
  const store = {
    ...inner,
    sweeps: 0,
    async sweep() {
      store.sweeps++
      return 0
    },
  }
  return store
}

test('sweepInterval starts with the first request and goes on until close', async t => {
  const store = sweepable()
  const { client, sessions } = await site(t, handlers, { store, sweepInterval: 10 })
  await sleep(40)
  t.is(store.sweeps, 0, 'no request, no timer')
  await client().get('/get')
  while (store.sweeps < 3) await sleep(5)
  await sessions.close()
  const { sweeps } = store
  await sleep(40)
  t.is(store.sweeps, sweeps)
})

test('sweepInterval 0 never sweeps by itself', async t => {
  const store = sweepable()
  const { client, sessions } = await site(t, handlers, { store, sweepInterval: 0 })
  await client().get('/get')
  await sleep(30)
  t.is(store.sweeps, 0)
  await sessions.sweep()
  t.is(store.sweeps, 1)
})

test('a failing sweep goes to onError, and the next one is tried', async t => {
  const store = { ...sweepable(), sweep: () => Promise.reject(new Error('down')) }
  const heard: unknown[] = []
  const { client } = await site(t, handlers, { store, sweepInterval: 5, onError: error => void heard.push(error) })
  await client().get('/get')
  while (heard.length < 2) await sleep(5)
  t.true(heard.every(error => isSessionError(error) && error.code === 'ERR_SESSION_STORE'))
})

test('the timer of sweepInterval is jittered and unref’d, and there is none for a store that does not sweep', async t => {
  const { setTimeout: real } = nodeTimers
  const timers: { wait: number; timer: NodeJS.Timeout }[] = []
  const sweepInterval = 1_000_003
  const replace = (by: typeof setTimeout) => {
    nodeTimers.setTimeout = by
    syncBuiltinESMExports()
  }
  replace(((run: (...args: unknown[]) => void, wait: number, ...rest: unknown[]) => {
    const timer = real(() => run(...rest), wait)
    if (wait > 800_000 && wait < 1_200_000) timers.push({ wait, timer })
    return timer
  }) as typeof setTimeout)
  t.teardown(() => replace(real))
  for (let n = 0; n < 6; n++) {
    const { client } = await site(t, handlers, { sweepInterval })
    await client().get('/get')
    await client().get('/get')
  }
  t.is(timers.length, 6, 'one timer each')
  t.true(timers.every(({ wait }) => wait >= 0.9 * sweepInterval && wait <= sweepInterval))
  t.true(new Set(timers.map(({ wait }) => wait)).size > 1)
  t.true(timers.every(({ timer }) => !timer.hasRef()))
  const { client } = await site(t, handlers, { sweepInterval, store: plain() })
  await client().get('/get')
  t.is(timers.length, 6)
})

test('close releases the store, and so does leaving an await using block', async t => {
  for (const end of ['close', Symbol.asyncDispose] as const) {
    let closes = 0
    const inner = memoryStore()
    const store: Store = {
      ...inner,
      close() {
        closes++
        return inner.close()
      },
    }
    const sessions = session({ store })
    await sessions.create({ n: 1 } as object)
    t.is(await sessions[end](), undefined)
    t.is(closes, 1)
    await t.notThrowsAsync(sessions[end]())
    const error = await t.throwsAsync(sessions.create({ n: 1 } as object))
    t.true(isSessionError(error) && error.code === 'ERR_SESSION_STORE')
  }
})

test('the admin surface is on the middleware itself', async t => {
  const sessions = session()
  t.is(typeof sessions, 'function')
  t.is(sessions.length, 2, 'what app.use takes')
  for (const name of ['create', 'open', 'list', 'revoke', 'revokeAll', 'sweep', 'close'] as const) {
    t.is(typeof sessions[name], 'function', name)
  }
  t.is(typeof sessions[Symbol.asyncDispose], 'function')
})
