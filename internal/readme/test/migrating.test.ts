import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import Router from '@koa/router'
import { isFull } from '@koa-session/behaviour/full'
import { sharedServer } from '@koa-session/test-servers'
import test, { type ExecutionContext } from 'ava'
import Keygrip from 'keygrip'
import Koa from 'koa'
import { SessionOptions as KoaSessionOptions } from 'koa-session'
import { memoryStore, type SessionOptions, type Store, session } from 'koa-session-core'
import { blocksOf } from '../dist/blocks.js'
import { documents } from '../dist/documents.js'
import { type Before, before, keys, koaSessionCookies } from '../dist/old-apps.js'
import { Visitor } from '../dist/visitor.js'
import { compile, Workplace } from '../dist/workplace.js'

const text = (await documents()).find(({ name }) => name === 'docs/migrating.md')?.text ?? ''
const workplace = await Workplace.of(blocksOf(text))
const [complaints] = await compile(workplace)
const signOut = new Router()
Object.assign(globalThis, { router: signOut })
/** What the blocks of the document export. */
const blocks: Record<string, any> = {}
for (const name of ['sessions', 'koa-session', 'generic-session', 'express-session'].map(name => `old-${name}`)) {
  Object.assign(blocks, await import(workplace.path(`${name}.ts`)))
}
await import(workplace.path(blocksOf(text).find(({ code }) => code.includes("'/sign-out'"))?.file ?? ''))

const [redis, postgres] = [await sharedServer('redis'), await sharedServer('postgres')]
const endings: (() => unknown)[] = [() => workplace.remove()]
const all = await before({ redis: redis?.url, postgres: postgres?.url }, end => endings.push(end))
/** The first of each kind: a library writes the same cookies and records into any store. */
const kinds = [/^koa-session, cookies/, /^koa-session, (?!cookies)/, /^koa-generic-session/, /^express-session/]
const firstOf = (kind: RegExp) => all.find(({ name }) => kind.test(name))
const formats = all.filter(one => isFull || kinds.some(kind => firstOf(kind) === one))
// AVA wants all declarations after the last await.
test.after.always(async () => {
  for (const end of endings) await end()
})

const later = new Date(Date.now() + 86_400_000)
const hour = 3_600_000

async function serve(t: ExecutionContext, app: Koa): Promise<string> {
  app.silent = true
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** What an app may have said of the life of a session, and a library keeps in its record. */
const lives: Readonly<Record<string, (session: any) => void>> = {
  'the time is null': session => setLife(session, null),
  'the time is false': session => setLife(session, false),
  'the time is 0': session => setLife(session, 0),
  'the time is no whole number': session => setLife(session, hour + 0.5),
  'the time is a thousand years': session => setLife(session, 1_000 * 365 * 24 * hour),
  // As the README of express-session advises for visitors who are not to be remembered.
  'the expiry is false': session => Object.assign(session.cookie ?? {}, { expires: false }),
  'the expiry is far away': session =>
    Object.assign(session.cookie ?? {}, { expires: new Date('9999-12-31T00:00:00Z') }),
}

function setLife(session: any, maxAge: unknown): void {
  // express-session refuses what is neither false nor a number, and ends a session whose time is 0.
  if (session.cookie) session.cookie.maxAge = maxAge
  else session.maxAge = maxAge
}

/** The pages of the app before and of the app after. */
async function page(ctx: any): Promise<void> {
  const { item } = ctx.query
  if (ctx.path === '/sign-in') ctx.session.passport = { user: 1 }
  if (ctx.path === '/add') ctx.session.cart = [...(ctx.session.cart ?? []), item]
  if (ctx.path === '/set') ctx.session[item] = true
  if (ctx.path === '/end') ctx.session = null
  if (ctx.path === '/replace') ctx.session = { passport: { user: 1 } }
  if (ctx.path === '/for-ever') setLife(ctx.session, Number.POSITIVE_INFINITY)
  if (ctx.path === '/life') lives[item]?.(ctx.session)
  if (ctx.path === '/regenerate') await ctx.session.regenerate()
  if (ctx.path === '/unsaved') Object.assign(ctx, { sessionSave: false }).session.unsaved = true
  if (ctx.path === '/null') {
    ctx.session = null
    ctx.body = { isNull: ctx.session === null }
    return
  }
  const { cookie, ...data } = JSON.parse(JSON.stringify(ctx.session ?? {}))
  ctx.body = data
  if (ctx.path === '/fail') {
    ctx.session.lost = true
    throw new Error('failed')
  }
}

interface OldOptions {
  readonly maxAge?: number | null
  readonly around?: Koa.Middleware
}

function oldApp(t: ExecutionContext, { mount }: Before, { maxAge = hour, around }: OldOptions = {}): Promise<string> {
  const app = new Koa()
  app.keys = keys
  if (around) app.use(around)
  mount(app, maxAge)
  return serve(t, app.use(page))
}

interface NewOptions extends SessionOptions {
  readonly keys?: Koa['keys']
  readonly around?: Koa.Middleware
}

function newApp(
  t: ExecutionContext,
  { from }: Before,
  { keys: own = keys, around, ...options }: NewOptions = {},
): Promise<string> {
  const app = new Koa()
  app.keys = own
  const sessions = session({ adopt: { from: from(blocks), until: later }, ...options })
  t.teardown(() => sessions.close())
  if (around) app.use(around)
  return serve(t, app.use(sessions).use(signOut.routes()).use(page))
}

/** Somebody who signed in to the app before, and filled a cart. */
async function signedIn(old: string): Promise<Visitor> {
  const visitor = new Visitor()
  await visitor.get(old, '/add?item=tea')
  await visitor.get(old, '/sign-in')
  await visitor.get(old, '/add?item=cup')
  return visitor
}

const ada = { cart: ['tea', 'cup'], passport: { user: 1 } }

test('the code in docs/migrating.md compiles', t => {
  t.is(complaints, '')
})

for (const one of all) {
  const { name } = one

  test(`${name}: a user stays signed in, the cart stays filled, and the new cookie alone is enough`, async t => {
    const visitor = await signedIn(await oldApp(t, one))
    const url = await newApp(t, one)
    const first = await visitor.get(url)
    t.deepEqual(first.value, ada)
    t.regex(first.cookies.join(), /^sid=[\w-]{43}; Path=\/; Max-Age=3600;/)
    const [sid] = [...visitor.jar].filter(([name]) => name === 'sid')
    t.deepEqual((await new Visitor(sid && [sid]).get(url, '/add?item=pot')).value, {
      ...ada,
      cart: ['tea', 'cup', 'pot'],
    })
    t.deepEqual((await visitor.get(url)).value, { ...ada, cart: ['tea', 'cup', 'pot'] })
  })

  test(`${name}: a session of any life that the app may have given it is taken over`, async t => {
    const old = await oldApp(t, one)
    const url = await newApp(t, one)
    for (const life of Object.keys(lives)) {
      const visitor = await signedIn(old)
      await visitor.get(old, `/life?item=${life}`)
      const isAlive = 'passport' in (await visitor.get(old)).value
      const { status, value } = await visitor.get(url)
      t.deepEqual({ life, status, value }, { life, status: 200, value: isAlive ? ada : {} })
      if (life !== 'the time is 0') t.true(isAlive, life)
    }
  })

  test(`${name}: a session that has expired gives nothing`, async t => {
    const visitor = await signedIn(await oldApp(t, one, { maxAge: 900 }))
    const writes: string[] = []
    const url = await newApp(t, one, { store: noting(writes) })
    await setTimeout(2_500)
    const { value, cookies } = await visitor.get(url)
    t.deepEqual([value, cookies, writes], [{}, [], []])
  })
}

for (const one of formats) {
  const { name } = one

  test(`${name}: while old and new processes serve, all requests to the new ones end in one session and lose nothing`, async t => {
    const old = await oldApp(t, one)
    const store = memoryStore()
    const urls = [await newApp(t, one, { store }), await newApp(t, one, { store })]
    const visitor = await signedIn(old)
    const tabs = Array.from({ length: 24 }, () => visitor.copy())
    const shown = await Promise.all(
      tabs.map((tab, nth) => tab.get(nth % 3 === 2 ? old : String(urls[nth % 3]), `/set?item=k${nth}`)),
    )
    for (const { status, value } of shown) t.like({ status, value }, { status: 200, value: ada })
    const moved = tabs.filter((_, nth) => nth % 3 < 2)
    t.is(new Set(moved.map(({ jar }) => jar.get('sid'))).size, 1)
    const { value } = await (moved[0] as Visitor).get(String(urls[0]))
    t.like(value, ada)
    t.deepEqual(
      Object.keys(value)
        .filter(key => key.startsWith('k'))
        .sort(),
      tabs
        .map((_, nth) => `k${nth}`)
        .filter((_, nth) => nth % 3 < 2)
        .sort(),
    )
    t.like((await visitor.get(old)).value, ada)
  })

  test(`${name}: a visitor who signs out in the new app stays signed out there`, async t => {
    const old = await oldApp(t, one)
    const url = await newApp(t, one)
    const visitor = await signedIn(old)
    const copy = visitor.copy()
    await visitor.get(url, '/end')
    for (const browser of [visitor, copy]) {
      t.like((await browser.get(old)).value, ada)
      const { value, cookies } = await browser.get(url)
      t.deepEqual([value, cookies], [{}, []])
    }
  })

  test(`${name}: after a rollback the old app finds its session, and the next attempt takes over what it has by then`, async t => {
    const visitor = await signedIn(await oldApp(t, one))
    const [first, second] = [memoryStore(), memoryStore()]
    await visitor.get(await newApp(t, one, { store: first }), '/add?item=pot')
    const again = await oldApp(t, one)
    t.deepEqual((await visitor.get(again)).value, ada)
    await visitor.get(again, '/add?item=jug')
    t.deepEqual((await visitor.get(await newApp(t, one, { store: first }))).value.cart, ['tea', 'cup', 'pot'])
    t.deepEqual((await visitor.get(await newApp(t, one, { store: second }))).value.cart, ['tea', 'cup', 'jug'])
  })

  test(`${name}: a cookie that was changed or is incomplete gives nothing`, async t => {
    const visitor = await signedIn(await oldApp(t, one))
    const writes: string[] = []
    const url = await newApp(t, one, { store: noting(writes) })
    for (const [name, value] of visitor.jar) {
      const changes = [3, Math.floor(value.length / 3), value.length - 2].map(at => changed(value, at))
      for (const other of [...changes, value.slice(0, -1), `${value}A`, '%', 's%3A%', 's:', 'null', undefined]) {
        const browser = visitor.copy()
        if (other === undefined) browser.jar.delete(name)
        else browser.jar.set(name, other)
        const { status, value, cookies } = await browser.get(url)
        t.deepEqual([status, value], [200, {}], `${name}=${other}`)
        t.false(cookies.some(line => line.startsWith('sid=')))
      }
    }
    t.deepEqual(writes, [])
    t.deepEqual((await visitor.get(url)).value, ada)
  })

  test(`${name}: app.keys may be a Keygrip`, async t => {
    const visitor = await signedIn(await oldApp(t, one))
    t.deepEqual((await visitor.get(await newApp(t, one, { keys: new Keygrip(keys) }))).value, ada)
  })

  test(`${name}: a session that ends with the browser goes on to do so`, async t => {
    const visitor = await signedIn(await oldApp(t, one, { maxAge: null }))
    const { value, cookies } = await visitor.get(await newApp(t, one, { maxAge: hour }))
    t.deepEqual(value, ada)
    t.regex(cookies.join(), /^sid=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/)
  })
}

/** Its character at `at` is another one. */
const changed = (value: string, at: number): string =>
  value.slice(0, at) + (value[at] === 'A' ? 'B' : 'A') + value.slice(at + 1)

/** A store that notes the keys that are written. */
function noting(writes: string[]): Store {
  const store = memoryStore()
  return {
    ...store,
    write(key, ...rest) {
      writes.push(key)
      return store.write(key, ...rest)
    },
  }
}

test('koa-session, cookies: two strangers with the same cookie do not end in one session', async t => {
  const old = await oldApp(t, koaSessionCookies, { maxAge: null })
  const url = await newApp(t, koaSessionCookies)
  const visitors = [new Visitor(), new Visitor()] as const
  for (const visitor of visitors) await visitor.get(old, '/add?item=tea')
  t.deepEqual([...visitors[0].jar], [...visitors[1].jar])
  for (const visitor of visitors) t.deepEqual((await visitor.get(url)).value, { cart: ['tea'] })
  t.not(visitors[0].jar.get('sid'), visitors[1].jar.get('sid'))
})

test('koa-session, cookies: a cookie that is signed anew with the newest key is the same session', async t => {
  const app = new Koa()
  app.keys = keys.slice(1)
  koaSessionCookies.mount(app, hour)
  const visitor = await signedIn(await serve(t, app.use(page)))
  const url = await newApp(t, koaSessionCookies)
  const before = visitor.copy()
  await visitor.get(url, '/end')
  t.not(visitor.jar.get('koa.sess.sig'), before.jar.get('koa.sess.sig'))
  t.deepEqual((await visitor.get(url)).value, {})
  t.deepEqual((await before.get(url)).value, {})
})

test('with other keys a cookie gives nothing, and loses its signature', async t => {
  const visitor = await signedIn(await oldApp(t, koaSessionCookies))
  t.deepEqual((await visitor.get(await newApp(t, koaSessionCookies, { keys: ['another secret'] }))).value, {})
  t.false(visitor.jar.has('koa.sess.sig'))
})

test('the sign-out of docs/migrating.md ends the session in both apps', async t => {
  const old = await oldApp(t, koaSessionCookies)
  const url = await newApp(t, koaSessionCookies)
  const visitor = await signedIn(old)
  await visitor.get(url)
  t.is((await visitor.post(url, '/sign-out')).status, 302)
  t.deepEqual([...visitor.jar.keys()], [])
  for (const one of [url, old]) t.deepEqual((await visitor.get(one)).value, {})
})

test('koa-session, cookies: with the old cookie left, an old process can bring a session back that signed out', async t => {
  const old = await oldApp(t, koaSessionCookies)
  const url = await newApp(t, koaSessionCookies)
  const visitor = await signedIn(old)
  await visitor.get(url, '/end')
  t.deepEqual((await visitor.get(url)).value, {})
  await visitor.get(old, '/add?item=pot')
  t.like((await visitor.get(url)).value, { passport: { user: 1 } })
})

test('changes in the old app after the takeover do not reach the new one, not even a sign-in or a sign-out', async t => {
  for (const one of formats) {
    const old = await oldApp(t, one)
    const url = await newApp(t, one)
    const stranger = new Visitor()
    await stranger.get(old, '/add?item=tea')
    t.deepEqual((await stranger.get(url)).value, { cart: ['tea'] }, one.name)
    await stranger.get(old, '/sign-in')
    t.deepEqual((await stranger.get(url)).value, { cart: ['tea'] }, one.name)
    const user = await signedIn(old)
    await user.get(url)
    await user.get(old, '/end')
    t.deepEqual((await user.get(old)).value, {}, one.name)
    t.deepEqual((await user.get(url)).value, ada, one.name)
  }
})

// With express-session, such a request never gets an answer.
for (const one of formats.filter(({ name }) => name.startsWith('koa-'))) {
  test(`${one.name}: a session that the app has replaced, or that never ends, is taken over`, async t => {
    const old = await oldApp(t, one)
    const url = await newApp(t, one)
    for (const path of ['/replace', '/for-ever']) {
      const visitor = new Visitor()
      await visitor.get(old, '/sign-in')
      await visitor.get(old, path)
      const before = (await visitor.get(old)).value
      const { status, value } = await visitor.get(url)
      t.deepEqual({ path, status, value }, { path, status: 200, value: before })
      if (path === '/replace') t.deepEqual(value, { passport: { user: 1 } })
    }
  })
}

test('a sign-in in the old app that keeps the old id does not reach the new one, even if it deletes the new cookie', async t => {
  for (const one of formats) {
    const old = await oldApp(t, one)
    const url = await newApp(t, one)
    const visitor = new Visitor()
    await visitor.get(old, '/add?item=tea')
    t.deepEqual((await visitor.get(url)).value, { cart: ['tea'] }, one.name)
    await visitor.get(old, '/sign-in')
    visitor.jar.delete('sid')
    const user = one === koaSessionCookies ? { passport: { user: 1 } } : {}
    t.deepEqual((await visitor.get(url)).value, { cart: ['tea'], ...user }, one.name)
  }
})

test('a sign-out in the old app reaches the new one if it deletes the new cookie, and so does the sign-in after it', async t => {
  for (const one of formats) {
    const old = await oldApp(t, one, {
      async around(ctx, next) {
        // As in docs/migrating.md, on plain HTTP.
        if (['/end', '/sign-in'].includes(ctx.path)) ctx.cookies.set('sid', null, { path: '/', signed: false })
        await next()
      },
    })
    const url = await newApp(t, one)
    const visitor = await signedIn(old)
    t.deepEqual((await visitor.get(url)).value, ada, one.name)
    await visitor.get(old, '/end')
    t.deepEqual((await visitor.get(url)).value, {}, one.name)
    await visitor.get(old, '/sign-in')
    t.deepEqual((await visitor.get(url)).value, { passport: { user: 1 } }, one.name)
  }
})

test('a session that ends with the browser lives by idleTimeout, also if it was taken over', async t => {
  for (const one of formats) {
    const visitor = await signedIn(await oldApp(t, one, { maxAge: null }))
    const day = 24 * hour
    const sessions: number[] = []
    const around: Koa.Middleware = async (ctx, next) => {
      await next()
      sessions.push(ctx.session.expiresAt - Date.now())
    }
    await visitor.get(await newApp(t, one, { maxAge: 7 * day, around }))
    await visitor
      .copy()
      .get(await newApp(t, one, { idleTimeout: 7 * day, absoluteTimeout: Number.POSITIVE_INFINITY, around }))
    const [byMaxAge = 0, byIdleTimeout = 0] = sessions
    t.true(byMaxAge <= hour, one.name)
    t.true(byIdleTimeout > 6 * day, one.name)
  }
})

test('passport keeps a cart over a login with koa-session; with koa-session-core it does if keepSessionInfo is set', async t => {
  const { KoaPassport } = createRequire(import.meta.url)('koa-passport')
  const passport = new KoaPassport()
  passport.use('any', {
    authenticate(this: { success(user: object): void }) {
      this.success({ id: 1 })
    },
  })
  passport.serializeUser((user: { id: number }, done: (error: null, id: number) => void) => done(null, user.id))
  passport.deserializeUser((id: number, done: (error: null, user: object) => void) => done(null, { id }))
  const logins = [passport.authenticate('any', {}), passport.authenticate('any', { keepSessionInfo: true })]
  const paths = ['/login', '/login-keep']
  const start = (mount: (app: Koa) => unknown) => {
    const app = new Koa()
    app.keys = keys
    mount(app)
    app.use(passport.initialize()).use(passport.session())
    app.use((ctx, next) => logins[paths.indexOf(ctx.path)]?.(ctx, next) ?? next())
    return serve(t, app.use(page))
  }
  const old = await start(app => koaSessionCookies.mount(app, hour))
  const sessions = session({
    // As in docs/migrating.md.
    subject: data => (data as { passport?: { user?: number } }).passport?.user?.toString(),
    adopt: { from: blocks.from, until: later },
  })
  const url = await start(app => app.use(sessions))
  const cart = ['tea']
  for (const [login, kept] of [
    [`${old}/login`, true],
    [`${url}/login`, false],
    [`${url}/login-keep`, true],
  ] as const) {
    const visitor = new Visitor()
    await visitor.get(new URL(login).origin, '/add?item=tea')
    await visitor.get(login, '')
    const user = { passport: { user: 1 } }
    t.deepEqual((await visitor.get(new URL(login).origin)).value, kept ? { cart, ...user } : user, login)
    // Taken over, or begun here: both are the user's.
    t.like((await visitor.get(url)).value, user)
  }
  let count = 0
  for await (const { data } of sessions.list('1')) count += Number('passport' in data)
  t.is(count, 3)
})

test('koa-session has a session before its middleware; koa-session-core does not', async t => {
  for (const isOld of [true, false]) {
    const seen: boolean[] = []
    const around: Koa.Middleware = (ctx, next) => {
      seen.push(ctx.session !== undefined)
      return next()
    }
    const url = isOld ? await oldApp(t, koaSessionCookies, { around }) : await newApp(t, koaSessionCookies, { around })
    await new Visitor().get(url)
    t.deepEqual(seen, [isOld])
  }
})

const nothing = (one: Before): Before => ({ ...one, from: () => () => undefined })

for (const one of formats.filter(({ name }) => name.startsWith('koa-'))) {
  test(`${one.name}: the silent differences of docs/migrating.md`, async t => {
    const isGeneric = one.name.startsWith('koa-generic')
    for (const isOld of [true, false]) {
      const url = isOld ? await oldApp(t, one) : await newApp(t, nothing(one))
      const visitor = await signedIn(url)
      // Koa's error handler removes the cookie of koa-session.
      await visitor.get(url, '/fail')
      t.is((await visitor.get(url)).value.lost, isOld && one !== koaSessionCookies ? true : undefined)
      await visitor.get(url, '/set?item=_private')
      t.is((await visitor.get(url)).value._private, isOld && !isGeneric ? undefined : true)
      await visitor.get(url, '/unsaved')
      t.is((await visitor.get(url)).value.unsaved, isOld && isGeneric ? undefined : true)
      if (!isGeneric) {
        await visitor.get(url, '/regenerate')
        t.is((await visitor.get(url)).value.cart?.length, isOld ? 2 : undefined)
      }
      const { value, cookies } = await new Visitor().get(url, '/add?item=tea')
      t.deepEqual(value, { cart: ['tea'] })
      t.is(/samesite/i.test(cookies.join()), !isOld)
      t.is((await visitor.get(url, '/null')).value.isNull, isOld)
    }
  })
}

/** The names in the first column of the tables in a section, or only of those whose header begins with `kind`. */
function listed(heading: string, kind = ''): string[] {
  const section = text.split(`\n### ${heading}\n`)[1]?.split('\n### ')[0] ?? ''
  const tables = section
    .trim()
    .split('\n\n')
    .filter(part => part.startsWith(`| ${kind}`))
  const cells = tables.flatMap(table => Array.from(table.matchAll(/^\| (.*?) \| /gm), ([, cell = '']) => cell))
  return cells.flatMap(cell => Array.from(cell.matchAll(/`([^`]+)`/g), ([, name = '']) => name))
}

test('every option, member, event and export of koa-session 7 is in docs/migrating.md', async t => {
  const names = listed('koa-session 7')
  const members: string[] = []
  await signedIn(
    await oldApp(t, koaSessionCookies, {
      async around(ctx, next) {
        await next()
        const prototype = Object.getPrototypeOf(ctx.session ?? {})
        members.push(
          ...Object.getOwnPropertyNames(prototype).filter(name => name !== 'constructor'),
          ...Object.keys(ctx.session),
        )
      },
    }),
  )
  const options = Object.keys(KoaSessionOptions.shape)
  t.true(options.length > 15 && members.includes('manuallyCommit'))
  const source = sourceOf('koa-session', '../../src/context.ts')
  const events = Array.from(source.matchAll(/this\.emit\('(\w+)'/g), ([, name]) => `session:${name}`)
  const known = new Set(names.map(name => name.replace(/\(.*/, '')))
  const own = ['cart', 'passport', '_requireSave', '_expire']
  const exported = Object.keys(await import('koa-session')).filter(name => name !== 'default')
  t.deepEqual(
    [...options, ...members, ...events, ...exported].filter(name => !known.has(name) && !own.includes(name)),
    [],
  )
})

test('every option and member of koa-generic-session is in docs/migrating.md', t => {
  const known = new Set(listed('koa-generic-session 2').map(name => name.replace(/\(.*/, '')))
  const source = sourceOf('koa-generic-session', 'session.js')
  const found = (pattern: RegExp, prefix = '') => Array.from(source.matchAll(pattern), ([, name]) => `${prefix}${name}`)
  const options = found(/\boptions\.(\w+)/g)
  const members = [...found(/\bctx\.(\w*[sS]ession\w*) =/g, 'ctx.'), ...found(/defineProperty\(ctx, '(\w+)'/g, 'ctx.')]
  t.true(options.length > 10 && members.length > 4)
  t.deepEqual(
    [...options, ...members].filter(name => !known.has(name) && !name.startsWith('ctx._')),
    [],
  )
})

test('session() names the counterpart of every old option that it does not have', t => {
  const sections = ['koa-session 7', 'koa-generic-session 2', 'express-session 1']
  const names = new Set(sections.flatMap(heading => listed(heading, 'option')))
  t.true(names.size > 30)
  for (const name of names) {
    if (['maxAge', 'store', 'cookie'].includes(name)) continue
    t.throws(() => session({ [name]: 1 } as never), {
      instanceOf: TypeError,
      message: new RegExp(`${name} is unknown: `),
    })
  }
})

function sourceOf(name: string, file: string): string {
  const require = createRequire(import.meta.url)
  const main = require.resolve(name)
  return readFileSync(join(dirname(main), file), 'utf8')
}
