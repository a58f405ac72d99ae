import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import ava from 'ava'
import fc from 'fast-check'
import type Koa from 'koa'
import {
  type CookieOptions,
  headerTransport,
  memoryStore,
  type SessionOptions,
  type SessionRecord,
  session,
  type Transport,
} from 'koa-session-core'
import { codePoint } from './code-points.js'
import { type Ctx, type Handler, site, watched } from './support/app.js'
import { raw } from './support/raw.js'
import { runs } from './support/runs.js'
import { getOverTls, overTls } from './support/tls.js'

// One after the other: client and server share this thread, and what all do at once can make a connection time out.
const test = ava.serial

const secure = { 'x-forwarded-proto': 'https' }
const behindProxy = (app: Koa) => {
  app.proxy = true
}

const handlers: Record<string, Handler> = {
  '/set': ctx => {
    ctx.session.who = 'me'
  },
  '/remember': ctx => {
    ctx.session.who = 'me'
    ctx.session.maxAge = 60_000
  },
  '/get': ctx => ({ ...ctx.session }),
  '/end': ctx => {
    ctx.session = null
  },
}

/** A `Set-Cookie` line as its name, its value and its attributes. */
function taken(line: string | undefined) {
  const [pair = '', ...attributes] = (line ?? '').split('; ')
  const at = pair.indexOf('=')
  return { name: pair.slice(0, at), value: pair.slice(at + 1), attributes }
}

/** The cookies that a site with these options sets on a plain or a secure request. */
async function setBy(t: Parameters<typeof site>[0], cookie: CookieOptions | undefined, headers = {}, path = '/set') {
  const { client } = await site(t, handlers, { before: behindProxy, ...(cookie && { cookie }) })
  const { cookies } = await client().get(path, { headers })
  if (cookies.length !== 1) throw new Error(`${cookies.length} cookies`)
  return taken(cookies[0])
}

test('without options the cookie has path /, httpOnly, sameSite lax, and secure on a secure request', async t => {
  const plain = await setBy(t, undefined)
  t.is(plain.name, 'sid')
  t.regex(plain.value, /^[\w-]{43}$/)
  t.deepEqual(plain.attributes, ['Path=/', 'HttpOnly', 'SameSite=Lax'])
  const safe = await setBy(t, undefined, secure)
  t.is(safe.name, '__Host-sid')
  t.deepEqual(safe.attributes, ['Path=/', 'HttpOnly', 'Secure', 'SameSite=Lax'])
})

test('each cookie option changes exactly its attribute', async t => {
  const name = 'id'
  const cases: [CookieOptions, without: string[], added: string[]][] = [
    [{}, [], []],
    [{ path: '/set' }, ['Path=/'], ['Path=/set']],
    [{ domain: 'example.com' }, [], ['Domain=example.com']],
    [{ httpOnly: false }, ['HttpOnly'], []],
    [{ httpOnly: true }, [], []],
    [{ secure: true }, [], ['Secure']],
    [{ secure: false }, [], []],
    [{ sameSite: 'strict' }, ['SameSite=Lax'], ['SameSite=Strict']],
    [{ sameSite: 'none', secure: true }, ['SameSite=Lax'], ['SameSite=None', 'Secure']],
    [{ partitioned: true }, [], []],
    [{ partitioned: true, secure: true }, [], ['Secure', 'Partitioned']],
    [{ partitioned: false }, [], []],
    [{ priority: 'low' }, [], ['Priority=Low']],
    [{ priority: 'medium' }, [], ['Priority=Medium']],
    [{ priority: 'high' }, [], ['Priority=High']],
  ]
  for (const [options, without, added] of cases) {
    const set = await setBy(t, { name, ...options })
    const expected = ['Path=/', 'HttpOnly', 'SameSite=Lax'].filter(attribute => !without.includes(attribute))
    t.is(set.name, name)
    t.deepEqual(set.attributes.toSorted(), [...expected, ...added].toSorted(), JSON.stringify(options))
  }
  const onSecure = await setBy(t, { name, secure: false }, secure)
  t.deepEqual(onSecure.attributes, ['Path=/', 'HttpOnly', 'SameSite=Lax'], 'secure: false stays off a secure request')
})

test('a numeric maxAge adds Max-Age beside Expires, and nothing else', async t => {
  const started = Date.now()
  const { attributes } = await setBy(t, undefined, {}, '/remember')
  const expires = attributes.find(attribute => attribute.startsWith('Expires='))
  const age = attributes.find(attribute => /^Max-Age=(59|60)$/.test(attribute))
  t.deepEqual(attributes, ['Path=/', age, expires, 'HttpOnly', 'SameSite=Lax'])
  const at = Date.parse(expires?.slice(8) ?? '')
  t.true(at >= started + 59_000 && at <= Date.now() + 60_000)
})

test('a clearing cookie has exactly the attributes it was set with', async t => {
  const cookies: CookieOptions[] = [
    {},
    { domain: 'example.com', httpOnly: false, sameSite: 'strict', priority: 'high' },
    { secure: true, sameSite: 'none', partitioned: true },
  ]
  for (const cookie of cookies) {
    for (const headers of [{}, secure]) {
      const { client } = await site(t, handlers, { before: behindProxy, cookie })
      const one = client()
      const set = taken((await one.get('/set', { headers })).cookies[0])
      const cleared = taken((await one.get('/end', { headers })).cookies[0])
      t.is(cleared.name, set.name)
      t.is(cleared.value, '')
      const ends = ['Max-Age=0', 'Expires=Thu, 01 Jan 1970 00:00:00 GMT']
      t.deepEqual(cleared.attributes.toSorted(), [...set.attributes, ...ends].toSorted())
    }
  }
})

test('the default name is __Host-sid on a secure request and sid on a plain one', async t => {
  const options: SessionOptions = { store: memoryStore() }
  const plain = await site(t, handlers, options)
  const safe = await site(t, handlers, { ...options, wrap: overTls })
  const { value: id, name: plainName } = taken((await plain.client().get('/set')).cookies[0])
  t.is(plainName, 'sid')
  const set = taken((await getOverTls(`${safe.url}/set`)).cookies[0])
  t.is(set.name, '__Host-sid')
  t.true(set.attributes.includes('Secure'))
  t.is((await getOverTls(`${safe.url}/get`, `__Host-sid=${set.value}`)).text, '{"who":"me"}')
  t.is((await getOverTls(`${safe.url}/get`, `sid=${set.value}`)).text, '{}')
  t.is((await getOverTls(`${safe.url}/get`, `sid=x; __Host-sid=${set.value}`)).text, '{"who":"me"}')
  const get = async (cookie: string) => (await plain.client().get('/get', { headers: { cookie } })).text
  t.is(await get(`sid=${id}`), '{"who":"me"}')
  t.is(await get(`__Host-sid=${id}`), '{"who":"me"}', 'no browser sends it in clear: a proxy passed it on')
  t.is(await get(`__Host-sid=x; sid=${id}`), '{"who":"me"}')
})

test('a plain request reads the name of secure requests first, and answers under the name that the id came by', async t => {
  const store = memoryStore()
  const { client } = await site(t, handlers, { before: behindProxy, store })
  const one = client()
  await one.get('/set', { headers: secure })
  t.deepEqual([...one.jar.keys()], ['__Host-sid'])
  t.is((await one.get('/get', { headers: secure })).text, '{"who":"me"}')
  t.is((await one.get('/get')).text, '{"who":"me"}', 'the proxy forgot X-Forwarded-Proto')
  const kept = taken((await one.get('/remember')).cookies[0])
  t.is(kept.name, '__Host-sid')
  t.true(kept.attributes.includes('Secure'), 'without it browsers refuse the name')
  const plain = client()
  await plain.get('/set')
  t.deepEqual([...plain.jar.keys()], ['sid'])
  const both = `sid=${plain.jar.get('sid')}; __Host-sid=${one.jar.get('__Host-sid')}`
  const ended = taken((await client().get('/end', { headers: { cookie: both } })).cookies[0])
  t.is(ended.name, '__Host-sid', 'whichever comes first')
  t.true(ended.attributes.includes('Secure'))
  const left = await client().get('/get', { headers: { cookie: both } })
  t.is(left.text, '{"who":"me"}', 'a dead one does not hide the other')
  const cleared = taken((await client().get('/end', { headers: { cookie: both } })).cookies[0])
  t.is(cleared.name, 'sid')
  t.false(cleared.attributes.includes('Secure'))
  const fresh = taken((await client().get('/set', { headers: { cookie: both } })).cookies[0])
  t.is(fresh.name, '__Host-sid', 'a new session takes the place of the first dead one')
})

test('a secure request reads the name of secure requests only', async t => {
  const store = watched(memoryStore())
  const { client, sessions } = await site(t, handlers, { before: behindProxy, store })
  const { id } = await sessions.create({ who: 'me' } as object)
  store.calls.length = 0
  const cookie = `sid=${id}; __Secure-sid=${id}; __host-sid=${id}`
  const reply = await client().get('/set', { headers: { cookie, ...secure } })
  t.is(taken(reply.cookies[0]).name, '__Host-sid')
  t.deepEqual(store.calls, ['write'])
})

test('name fixes one name for plain and secure requests', async t => {
  const { client } = await site(t, handlers, { before: behindProxy, cookie: { name: 'id' } })
  const one = client()
  await one.get('/set', { headers: secure })
  t.deepEqual([...one.jar.keys()], ['id'])
  t.is((await one.get('/get')).text, '{"who":"me"}')
  const host = await setBy(t, { name: '__Host-id', secure: true })
  t.is(host.name, '__Host-id')
})

test('a path or domain that __Host- forbids makes the automatic name of secure requests __Secure-sid', async t => {
  const cookies: CookieOptions[] = [
    { path: '/set' },
    { domain: 'example.com' },
    { path: '/set', domain: 'example.com' },
  ]
  for (const cookie of cookies) {
    const safe = await setBy(t, cookie, secure)
    t.is(safe.name, '__Secure-sid', JSON.stringify(cookie))
    t.true(safe.attributes.includes('Secure'))
    const plain = await setBy(t, cookie)
    t.is(plain.name, 'sid')
    t.false(plain.attributes.includes('Secure'))
    t.is(
      (await setBy(t, { ...cookie, secure: true })).name,
      '__Secure-sid',
      'secure: true is one name for every request',
    )
    t.is((await setBy(t, { ...cookie, secure: false }, secure)).name, 'sid')
  }
  t.is((await setBy(t, { secure: false }, secure)).name, 'sid')
  for (const cookie of [{ httpOnly: false }, { sameSite: 'strict' }, { priority: 'low' }, { path: '/' }] as const) {
    t.is((await setBy(t, cookie, secure)).name, '__Host-sid', JSON.stringify(cookie))
  }
})

test('partitioned is sent beside Secure only', async t => {
  const cookie = { partitioned: true }
  t.false((await setBy(t, cookie)).attributes.includes('Partitioned'))
  t.true((await setBy(t, cookie, secure)).attributes.includes('Partitioned'))
  t.true((await setBy(t, { ...cookie, secure: true })).attributes.includes('Partitioned'))
})

test('secure: auto follows ctx.secure as it was when the request began', async t => {
  const { client } = await site(
    t,
    {
      '/set': ctx => {
        delete ctx.req.headers['x-forwarded-proto']
        ctx.session.who = ctx.secure ? 'secure' : 'plain'
      },
      '/set-late': ctx => {
        ctx.req.headers['x-forwarded-proto'] = 'https'
        ctx.session.who = ctx.secure ? 'secure' : 'plain'
      },
      '/get': ctx => ctx.session.who,
    },
    { before: behindProxy },
  )
  const one = client()
  const set = taken((await one.get('/set', { headers: secure })).cookies[0])
  t.is(set.name, '__Host-sid')
  t.true(set.attributes.includes('Secure'))
  t.is((await one.get('/get', { headers: secure })).json, 'plain')
  const late = taken((await client().get('/set-late')).cookies[0])
  t.is(late.name, 'sid')
  t.false(late.attributes.includes('Secure'))
})

test('secure: true never throws behind an untold proxy', async t => {
  const { client, errors } = await site(t, handlers, { cookie: { secure: true } })
  const one = client()
  const reply = await one.get('/set')
  t.is(reply.status, 204)
  const { name, attributes } = taken(reply.cookies[0])
  t.is(name, '__Host-sid', 'the one name the browser may send back')
  t.true(attributes.includes('Secure'))
  t.is((await one.get('/get')).text, '{"who":"me"}')
  t.is((await one.get('/end')).status, 204)
  t.is(one.jar.size, 0)
  t.deepEqual(errors, [])
})

test('of cookies with the same name the first that names a live session counts', async t => {
  const store = watched(memoryStore())
  const { client, url, sessions, errors } = await site(t, handlers, { store })
  const one = client()
  await one.get('/set')
  const id = one.jar.get('sid')
  const other = (await sessions.create({ who: 'other' } as object)).id
  const [a, b, c] = ['A', 'B', 'C'].map(letter => letter.repeat(43))
  const get = async (cookie: string) => {
    store.calls.length = 0
    return (await client().get('/get', { headers: { cookie } })).text
  }
  t.is(await get(`sid=${id}; sid=${other}`), '{"who":"me"}')
  t.deepEqual(store.calls, ['read'])
  t.is(await get(`sid=${other}; sid=${id}`), '{"who":"other"}')
  t.is(await get(`sid=${a}; sid=${id}`), '{"who":"me"}')
  t.is(await get(`a=b; sid=${a}; c=d; sid=${b}; e=f; sid=${id}; g=h`), '{"who":"me"}')
  t.deepEqual(store.calls, ['read', 'read', 'read'])
  t.is(await get(`sid=${a}; sid=${b}; sid=${c}; sid=${id}`), '{}', 'a fourth would cost a fourth read')
  t.deepEqual(store.calls, ['read', 'read', 'read'])
  t.is(await get(`__Host-sid=${a}; __Host-sid=${b}; sid=${c}; sid=${id}`), '{}', 'three of both names together')
  t.deepEqual(store.calls, ['read', 'read', 'read'])
  t.is(await get(`sid=${a}; sid=${a}; sid=${id}`), '{"who":"me"}')
  t.deepEqual(store.calls, ['read', 'read'], 'one id is read once')
  for (const none of ['sid=', 'sid', 'sid=x', `sid="${other}"`, `sid=${other}x`]) {
    t.is(await get(`${none}; ${none}; ${none}; sid=${id}`), '{"who":"me"}', 'what is no id is passed over')
    t.deepEqual(store.calls, ['read'])
  }
  const two = (first: string, second: string) =>
    raw(url, `GET /get HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: ${first}\r\nCookie: ${second}\r\n\r\n`)
  t.true((await two(`sid=${id}`, `sid=${other}`)).endsWith('{"who":"me"}'))
  t.true((await two(`sid=${a}`, `sid=${id}`)).endsWith('{"who":"me"}'))
  t.deepEqual(errors, [])
})

test('a dead id in front hides no live session, however it died', async t => {
  const store = watched(memoryStore())
  const rotating: Record<string, Handler> = {
    ...handlers,
    '/rotate': ctx => ctx.session.rotateId(),
    '/regenerate': ctx => ctx.session.regenerate(),
    '/logout': ctx => ctx.session.destroy(),
  }
  const { client, sessions, errors } = await site(t, rotating, { store })
  const live = (await sessions.create({ who: 'me' } as object)).id
  const sealed = session({ store, encryptionKeys: ['a passphrase of more than 32 characters'] })
  const record = (await store.read((await sessions.create({ n: 1 } as object)).key)) as SessionRecord
  const foreign = async (data: unknown, key: string) => {
    await store.write(key, { ...record, data: data as string, version: `${Math.random()}` }, null)
  }
  const ids: Record<string, string> = { undecodable: (await sealed.create({ n: 1 } as object)).id }
  for (const [name, data] of Object.entries({
    foreign: 'something else',
    empty: '',
    'no JSON': '1;1;session;0\nx',
    'no object': '1;1;session;0\n[]',
    'a wrong length': '1;1;session;1\n99:[]{}',
    'flash that is no list': '1;1;session;1\n2:{}{}',
    'flash without marks': '1;1;session;1\n3:[1]{}',
  })) {
    const id = randomBytes(32).toString('base64url')
    ids[name] = id
    await foreign(data, createHash('sha256').update(id).digest('hex'))
  }
  for (const path of ['/rotate', '/regenerate', '/logout']) {
    const { id, cookie } = await sessions.create({ who: 'past' } as object)
    ids[path] = id
    await client().get(path, { headers: { cookie } })
  }
  for (const [name, id] of Object.entries(ids)) {
    const one = client()
    const headers = { cookie: `sid=${id}; sid=${live}` }
    t.is((await one.get('/get', { headers })).text, '{"who":"me"}', name)
    t.deepEqual((await one.get('/set', { headers })).cookies, [], 'and no other session is begun')
  }
  const undecodables = Object.keys(ids).length - 3
  t.deepEqual(
    errors.map(({ code }) => code),
    Array(2 * undecodables).fill('ERR_SESSION_DECODE'),
  )
  const alone = await client().get('/set', { headers: { cookie: `sid=${ids['/rotate']}; sid=${'A'.repeat(43)}` } })
  t.deepEqual(alone.cookies, [], 'without a live one, a request under a superseded id begins none')
})

test('a failing read ends the search: that session may be the live one', async t => {
  const store = watched(memoryStore())
  const { client, sessions } = await site(t, handlers, { store })
  const live = (await sessions.create({ who: 'me' } as object)).id
  const dead = 'A'.repeat(43)
  for (const cookie of [`sid=${dead}; sid=${live}`, `sid=${live}; sid=${dead}`]) {
    const failing = cookie.startsWith(`sid=${dead}`) ? 2 : 1
    let reads = 0
    store.before = () => {
      if (++reads === failing) throw new Error('down')
    }
    const reply = await client().get('/set', { headers: { cookie } })
    t.is(reply.status, 503)
    t.deepEqual(reply.cookies, [])
    t.is(reads, failing)
  }
})

test('open takes a prefixed name only when the socket itself is encrypted', async t => {
  const opened: Record<string, Handler> = {
    '/open': async ctx => ({ ...(await sessions.open(ctx.req)) }),
  }
  const { url, sessions } = await site(t, opened, { wrap: overTls })
  const { id } = await sessions.create({ who: 'me' } as object)
  const open = async (cookie: string) => (await getOverTls(`${url}/open`, cookie)).text
  t.is(await open(`__Host-sid=${id}`), '{"who":"me"}')
  t.is(await open(`sid=${id}`), '{}')
  t.is(await open(`__Host-sid=${'A'.repeat(43)}; sid=${id}`), '{}')
  t.is(await open(`sid=${'A'.repeat(43)}; __Host-sid=${'B'.repeat(43)}; __Host-sid=${id}`), '{"who":"me"}')
})

test('cookie headers with any content are read as RFC 6265 splits them', async t => {
  const ids = [1, 2, 3].map(n => `${n}`.repeat(43))
  const text = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...ids) },
    { weight: 1, arbitrary: fc.constantFrom(...ids.map(id => `"${id}"`), ...ids.map(id => `${id} `), `=${ids[0]}`) },
    {
      weight: 2,
      arbitrary: fc.constantFrom('', 'sid=', `sid=${ids[1]}`, `x sid=${ids[1]}`, 'sid', '"a', ids[0]?.slice(1) ?? ''),
    },
    { weight: 1, arbitrary: fc.string({ maxLength: 45 }) },
  )
  const name = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('sid', '__Host-sid') },
    {
      weight: 2,
      arbitrary: fc.constantFrom(
        '',
        'a',
        'xsid',
        'sid ',
        'SID',
        '"sid',
        '__Secure-sid',
        '\u00a0sid',
        'sidsid',
        '-__Host-sid',
      ),
    },
  )
  const space = fc.constantFrom('', ' ', ' ', '\t', '  \t', '\n', '\u00a0')
  const pair = fc.tuple(space, name, fc.constantFrom('=', '=', '=', '', '=='), text).map(parts => parts.join(''))
  const header = fc.array(pair, { maxLength: 8 }).chain(pairs => fc.constantFrom(';', '; ').map(by => pairs.join(by)))

  /** Slow, and to be read once. */
  const reference = (cookie: string, names: string[]): string[] => {
    const pairs = cookie.split(';').map(one => one.replace(/^[ \t]+/, ''))
    const values = names.flatMap(wanted =>
      pairs.filter(one => one.split('=')[0] === wanted && one.includes('=')).map(one => one.slice(wanted.length + 1)),
    )
    return values.filter(value => value.length === 43 && /^[A-Za-z0-9_-]+$/.test(value))
  }

  const seen: string[] = []
  const store = watched(memoryStore())
  store.before = (_, key) => void seen.push(key)
  const { sessions } = await site(t, handlers, { store })
  const keys = new Map(ids.map(id => [createHash('sha256').update(id).digest('hex'), id]))
  let found = 0
  await fc.assert(
    fc.asyncProperty(header, fc.boolean(), async (cookie, encrypted) => {
      seen.length = 0
      await sessions.open({ headers: { cookie }, socket: { encrypted } } as unknown as IncomingMessage)
      const expected = reference(cookie, encrypted ? ['__Host-sid'] : ['__Host-sid', 'sid']).slice(0, 3)
      if (expected.length > 0) found++
      const read = seen.map(key => keys.get(key) ?? key)
      const wanted = [...new Set(expected)]
      if (read.join() !== wanted.join()) throw new Error(`${JSON.stringify(cookie)}: read ${read}, not ${wanted}`)
    }),
    { numRuns: runs(3000) },
  )
  t.true(found > runs(500), `${found} headers had an id`)
})

test('apps that name their cookie or header do not accept the ids of each other in a shared store', async t => {
  const store = memoryStore()
  const named = (name: string): SessionOptions => ({ store, cookie: { name } })
  const apps: Record<string, { options: SessionOptions; send: (id: string) => Record<string, string> }> = {
    automatic: { options: { store }, send: id => ({ cookie: `sid=${id}` }) },
    sid: { options: named('sid'), send: id => ({ cookie: `sid=${id}` }) },
    shop: { options: named('shop'), send: id => ({ cookie: `shop=${id}` }) },
    Shop: { options: named('Shop'), send: id => ({ cookie: `Shop=${id}` }) },
    admin: { options: named('admin'), send: id => ({ cookie: `admin=${id}` }) },
    'the header Shop': {
      options: { store, transport: headerTransport({ name: 'Shop' }) },
      send: id => ({ shop: id }),
    },
    'the header X-Admin': {
      options: { store, transport: { ...headerTransport({ name: 'X-Admin' }) } },
      send: id => ({ 'x-admin': id }),
    },
  }
  const all = {
    ...handlers,
    '/key': (ctx: Ctx) => [ctx.session.id, ctx.session.key],
    '/rotate': async (ctx: Ctx) => [await ctx.session.rotateId(), ctx.session.id, ctx.session.key],
  }
  for (const [name, { options, send }] of Object.entries(apps)) {
    const here = await site(t, all, options)
    const { id, key } = await here.sessions.create({ who: 'me' } as object)
    t.is(key === createHash('sha256').update(id).digest('hex'), name === 'automatic')
    t.truthy(await store.read(key))
    for (const [other, { options: theirs, send: sendThere }] of Object.entries(apps)) {
      const there = await site(t, all, theirs)
      const headers = sendThere(id)
      t.is(
        (await there.client().get('/get', { headers })).text,
        name === other ? '{"who":"me"}' : '{}',
        `${name} to ${other}`,
      )
      const opened = await there.sessions.open({ headers: sendThere(id), socket: {} } as unknown as IncomingMessage)
      t.is(opened?.key, name === other ? key : undefined)
    }
    t.deepEqual((await here.client().get('/key', { headers: send(id) })).json, [id, key])
    const [rotated, newId, newKey] = (await here.client().get('/rotate', { headers: send(id) })).json
    t.true(rotated)
    t.truthy(await store.read(newKey), 'the key that the store knows')
    t.is((await here.client().get('/get', { headers: send(newId) })).text, '{"who":"me"}')
    await here.sessions.revoke(newKey)
    t.is((await here.client().get('/get', { headers: send(newId) })).text, '{}')
  }
})

test('the name of a header is one name, however it is spelled', async t => {
  const store = memoryStore()
  const one = await site(t, handlers, { store, transport: headerTransport({ name: 'X-Session' }) })
  const other = await site(t, handlers, { store, transport: headerTransport({ name: 'x-SESSION' }) })
  const { id } = await one.sessions.create({ who: 'me' } as object)
  t.is((await other.client().get('/get', { headers: { 'x-session': id } })).text, '{"who":"me"}')
})

test('spaces and tabs are all that may stand before a name', async t => {
  const store = watched(memoryStore())
  const { client, url } = await site(t, handlers, { store, before: behindProxy })
  const one = client()
  await one.get('/set', { headers: secure })
  const id = one.jar.get('__Host-sid') as string
  const answer = async (...before: (string | Uint8Array)[]) => {
    store.calls.length = 0
    const head = 'GET /get HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX-Forwarded-Proto: https\r\nCookie: a=b;'
    return raw(url, head, ...before, `__Host-sid=${id}; c=d\r\n\r\n`)
  }
  for (const before of ['', ' ', '\t', ' \t  ']) t.true((await answer(before)).endsWith('{"who":"me"}'), before)
  const others = [0xa0, 0x85, 0xad, 0x5f, 0x22, 0x2e, 0x0c, 0x0b, 0x1f, 0xff].map(byte => Uint8Array.of(byte))
  // The characters that String.prototype.trim() removes, as UTF-8.
  const spaces = ['\u00a0', '\u1680', '\u2003', '\u2028', '\u2029', '\u202f', '\u205f', '\u3000', '\ufeff', '\u200b']
  for (const before of [...others, ...spaces]) {
    const text = await answer(' ', before)
    t.regex(text, /^HTTP\/1\.1 (200|400) /)
    t.false(text.includes('"me"'), `before the name: ${JSON.stringify(before)}`)
    t.deepEqual(store.calls, [])
  }
})

test('cookies of any kind but an exact id cause no store call and no crash', async t => {
  const store = watched(memoryStore())
  const { client, url, errors } = await site(t, handlers, { store, before: behindProxy })
  const one = client()
  await one.get('/set')
  await one.get('/set', { headers: secure })
  const ids = [one.jar.get('sid') as string, one.jar.get('__Host-sid') as string]
  store.calls.length = 0

  const names = fc.oneof(
    fc.constantFrom(
      'sid',
      '__Host-sid',
      '__proto__',
      'constructor',
      'SID',
      '__host-sid',
      'sid.sig',
      '"sid"',
      '',
      'toString',
    ),
    fc.constantFrom(
      'sid ',
      'sid\t',
      '%73id',
      'sid[]',
      '$sid',
      'ssid',
      '\u00a0sid',
      '\ufeff__Host-sid',
      ' \u2003sid',
      'sid\u00a0',
    ),
    fc.string({ unit: codePoint, maxLength: 20 }),
  )
  const value = fc.oneof(
    fc
      .tuple(
        fc.constantFrom(...ids),
        fc.constantFrom<(id: string) => string>(
          id => `"${id}"`,
          id => `%22${id}`,
          id => `%${id.charCodeAt(0).toString(16)}${id.slice(1)}`,
          id => encodeURIComponent(`${id}\0`),
          id => `${id}=`,
          id => `${id}.sig`,
          id => `${id} .`,
          id => ` ${id}`,
          id => `\t${id}`,
          id => `${id.slice(0, 42)}+`,
          id => `${id.slice(0, 42)}é`,
          id => id.slice(1),
          id => `${id}${id}`,
          id => `\ufeff${id}`,
        ),
      )
      .map(([id, spoil]) => spoil(id)),
    fc.constantFrom('', '__proto__', 'a'.repeat(42), 'a'.repeat(44), '%00'.repeat(15), '%', '%zz', '=', '=='),
    fc.string({ unit: codePoint, maxLength: 60 }),
    fc.integer({ min: 45, max: 20_000 }).map(length => 'x'.repeat(length)),
  )
  // The right id under a wrong name is part of the game too, but a right name with a right id is not.
  const pair = fc.oneof(
    { weight: 4, arbitrary: fc.tuple(names, value).map(([name, text]) => `${name}=${text}`) },
    { weight: 1, arbitrary: fc.tuple(names, fc.constantFrom(...ids)).map(([name, id]) => `${name}=${id}`) },
    { weight: 1, arbitrary: names },
  )
  const isExact = (text: string) => /^[ \t]*(sid|__Host-sid)=[\w-]{43}[ \t]*$/.test(text)
  const header = fc
    .array(
      pair.filter(text => text.split(/[;\r\n]/).every(part => !isExact(part))),
      { minLength: 1, maxLength: 6 },
    )
    .map(pairs => Buffer.from(pairs.join('; ').replace(/[\r\n]/g, ''), 'utf8'))
  const bytes = fc
    .uint8Array({ minLength: 1, maxLength: 100 })
    .map(array => array.filter(byte => byte !== 10 && byte !== 13))

  let answered = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(header, bytes), { minLength: 1, maxLength: 3 }),
      fc.boolean(),
      async (lines, isSecure) => {
        const cookies = lines.flatMap(line => ['Cookie: ', line, '\r\n'])
        const proto = isSecure ? 'X-Forwarded-Proto: https\r\n' : ''
        const text = await raw(url, `GET /get HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${proto}`, ...cookies, '\r\n')
        const status = Number(/^HTTP\/1\.1 (\d+) /.exec(text)?.[1])
        if (status === 200) answered++
        // Node's parser refuses control characters and headers of more than 16 KB before Koa sees them.
        else if (status !== 400 && status !== 431) throw new Error(`status ${status}`)
        if (status === 200 && !text.endsWith('{}')) throw new Error(`it was let in: ${text}`)
        if (/set-cookie/i.test(text)) throw new Error('a cookie was set')
        if (store.calls.length > 0) throw new Error(`store calls: ${store.calls}`)
      },
    ),
    { numRuns: runs(1_000) },
  )
  t.true(answered > runs(250), `${answered} requests came through the parser`)
  t.deepEqual(errors, [])
  t.is((await one.get('/get')).text, '{"who":"me"}')
})

test('headerTransport carries the id in a header of requests and responses', async t => {
  const transport = headerTransport({ name: 'X-Session-Id' })
  const { client, sessions } = await site(t, handlers, { transport })
  const one = client()
  const set = await one.get('/set')
  const id = set.headers.get('x-session-id') ?? ''
  t.regex(id, /^[\w-]{43}$/)
  t.deepEqual(set.cookies, [])
  t.is(set.headers.get('vary'), 'X-Session-Id')
  t.is(set.headers.get('cache-control'), 'no-store')
  const get = await one.get('/get', { headers: { 'X-SESSION-ID': id } })
  t.is(get.text, '{"who":"me"}')
  t.false(get.headers.has('x-session-id'), 'the client has it')
  t.is((await one.get('/get', { headers: { cookie: `sid=${id}` } })).text, '{}')
  const end = await one.get('/end', { headers: { 'x-session-id': id } })
  t.is(end.headers.get('x-session-id'), '', 'empty: forget it')
  t.is((await one.get('/get', { headers: { 'x-session-id': id } })).text, '{}')
  t.is((await sessions.create({ who: 'script' } as object)).cookie, '')
})

test('a header that names no exact id causes no store call', async t => {
  const store = watched(memoryStore())
  const { client } = await site(t, handlers, { store, transport: headerTransport({ name: '__proto__' }) })
  for (const value of ['', 'x', 'a'.repeat(44), '%41'.repeat(15), `${'a'.repeat(43)}, ${'b'.repeat(43)}`]) {
    t.is((await client().get('/get', { headers: { ['__proto__']: value } })).text, '{}')
  }
  t.is((await client().get('/get')).text, '{}')
  t.deepEqual(store.calls, [])
})

test('a transport of your own reads the request and writes the id, null for none, with its maxAge', async t => {
  const reads: unknown[] = []
  const writes: { id: string | null; maxAge: unknown }[] = []
  const transport: Transport = {
    read(req: IncomingMessage) {
      reads.push(req.url)
      return new URL(req.url ?? '', 'http://a').searchParams.get('ticket') ?? undefined
    },
    write(ctx, id, { maxAge }) {
      writes.push({ id, maxAge })
      ctx.set('X-Ticket', id ?? 'gone')
    },
    vary: 'X-Any',
  }
  const { client } = await site(
    t,
    {
      ...handlers,
      '/fail': ctx => {
        ctx.session.who = 'me'
        ctx.throw(401)
      },
    },
    { transport },
  )
  const set = await client().get('/set')
  const id = set.headers.get('x-ticket')
  t.is(set.headers.get('vary'), 'X-Any')
  t.deepEqual(set.cookies, [])
  t.is((await client().get(`/get?ticket=${id}`)).text, '{"who":"me"}')
  t.is((await client().get(`/end?ticket=${id}`)).headers.get('x-ticket'), 'gone')
  await client().get('/remember')
  t.is(
    (await client().get('/fail')).headers.get('x-ticket'),
    writes[3]?.id ?? '',
    'what it wrote survives an HTTP error',
  )
  t.is(reads.length, 5)
  t.deepEqual(
    writes.map(({ id: written, maxAge }) => [written?.length, maxAge]),
    [
      [43, 'session'],
      [undefined, 'session'],
      [43, writes[2]?.maxAge],
      [43, 'session'],
    ],
  )
  t.true((writes[2]?.maxAge as number) > 30_000 && (writes[2]?.maxAge as number) <= 60_000)
})

test('a transport that reads anything but an exact id causes no store call', async t => {
  const store = watched(memoryStore())
  let read: unknown
  const { client } = await site(t, handlers, { store, transport: { read: () => read as string, write() {} } })
  for (read of [5, {}, [], null, true, Buffer.from('a'), ['a'.repeat(43)]]) {
    const reply = await client().get('/get')
    t.is(reply.text, '{}')
    t.is(reply.headers.get('vary'), null, 'without vary there is none')
  }
  t.deepEqual(store.calls, [])
})
