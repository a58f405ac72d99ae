import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import test, { type ExecutionContext } from 'ava'
import Koa, { type Middleware } from 'koa'
import type { SessionData } from 'koa-session-core'
import { Koa2, type Site, site } from './support/app.js'
import { body } from './support/body.js'
import type { Client } from './support/client.js'

/** The little of koa-passport that is used here; it has no types. */
interface Passport {
  use(strategy: unknown): void
  serializeUser(fn: (user: User, done: (error: null, id: string) => void) => void): void
  deserializeUser(fn: (id: string, done: (error: null, user: User) => void) => void): void
  initialize(): Middleware
  session(): Middleware
  authenticate(name: string, options: object): Middleware
}
interface User {
  readonly name: string
}

const require = createRequire(import.meta.url)
const folder = mkdtempSync(join(tmpdir(), 'koa-session-passport-'))
test.after.always(() => rmSync(folder, { recursive: true, force: true }))

/** koa-passport as npm would install it beside a passport of that version: it requires `passport` by name. */
function koaPassport(alias: 'passport-06' | 'passport-07'): Passport {
  const modules = join(folder, alias, 'node_modules')
  mkdirSync(modules, { recursive: true })
  cpSync(dirname(require.resolve('koa-passport/package.json')), join(modules, 'koa-passport'), { recursive: true })
  symlinkSync(dirname(require.resolve(`${alias}/package.json`)), join(modules, 'passport'))
  const there = createRequire(join(modules, 'index.js'))
  const wanted = alias === 'passport-06' ? '0.6.' : '0.7.'
  if (!there('passport/package.json').version.startsWith(wanted)) throw new Error(`this is not passport ${wanted}`)
  const { KoaPassport } = there('koa-passport') as { KoaPassport: new () => Passport }
  const { Strategy } = require('passport-local') as { Strategy: new (verify: unknown) => unknown }
  const passport = new KoaPassport()
  passport.use(
    new Strategy((name: string, password: string, done: (...args: unknown[]) => void) => {
      if (password === 'right') done(null, { name })
      else done(null, false, { message: `Wrong password, ${name}` })
    }),
  )
  passport.serializeUser((user, done) => done(null, user.name))
  passport.deserializeUser((name, done) => done(null, { name }))
  return passport
}

const passports = {
  '0.6': koaPassport('passport-06'),
  '0.7': koaPassport('passport-07'),
}
const subject = (data: SessionData) => (data as { passport?: { user?: string } }).passport?.user
const worlds = Object.entries({ 'Koa 3': Koa, 'Koa 2': Koa2 }).flatMap(([koaName, App]) =>
  Object.entries(passports).flatMap(([version, passport]) => [
    { name: `${koaName}, passport ${version}`, App, passport, options: {} },
    { name: `${koaName}, passport ${version}, option subject`, App, passport, options: { subject } },
  ]),
)

for (const { name, App, passport, options } of worlds) {
  const local = (how: object) => passport.authenticate('local', how)
  const routes: Record<string, Middleware> = {
    '/login': local({
      successRedirect: '/me',
      failureRedirect: '/login',
      successFlash: 'Welcome',
      failureFlash: true,
    }),
    '/login-keep': local({ successReturnToOrRedirect: '/me', keepSessionInfo: true, successMessage: 'Hello' }),
    '/login-message': local({ failureRedirect: '/login', failureMessage: true }),
    '/login-status': local({}),
  }
  const start = (t: ExecutionContext): Promise<Site> =>
    site(
      t,
      {
        '/me': async ctx => ({ user: ctx.state.user, session: { ...ctx.session }, flash: await ctx.flash() }),
        '/fill': ctx => {
          ctx.session.cart = { items: [1] }
        },
        '/want': ctx => {
          ctx.session.returnTo = '/wanted'
          ctx.flash('Sign in first')
          ctx.redirect('/login')
        },
        '/logout': async (ctx, next) => {
          await (ctx as unknown as { logout(options: object): Promise<void> }).logout(ctx.query)
          ctx.redirect('/')
          return next()
        },
      },
      {
        ...options,
        Koa: App,
        middleware: [
          body,
          passport.initialize(),
          passport.session(),
          (ctx, next) => (routes[ctx.path] ?? ((_, go) => go()))(ctx, next),
        ],
      },
    )
  const login = (browser: Client, path = '/login', password = 'right') =>
    browser.post(path, { username: 'Ada', password })
  const me = async (browser: Client) => (await browser.get('/me')).json
  const stranger = { session: {}, flash: [] }

  test(`login gives a new session and ends the old one (${name})`, async t => {
    const { client, errors } = await start(t)
    const browser = client()
    await browser.get('/fill')
    const before = browser.fork()
    const reply = await login(browser)
    t.like(reply, { status: 302, cookies: { length: 1 } })
    t.is(reply.headers.get('location'), '/me')
    t.not(browser.jar.get('sid'), before.jar.get('sid'))
    t.like(await me(browser), { user: { name: 'Ada' }, session: { passport: { user: 'Ada' }, cart: undefined } })
    t.deepEqual(await me(before), stranger)
    t.deepEqual(errors, [])
  })

  test(`successFlash arrives with the next request, once (${name})`, async t => {
    const browser = (await start(t)).client()
    await browser.get('/want')
    await login(browser)
    t.deepEqual((await me(browser)).flash, [{ type: 'success', message: 'Welcome' }])
    t.deepEqual((await me(browser)).flash, [])
  })

  test(`failureFlash arrives with the next request, once, and the session goes on (${name})`, async t => {
    const browser = (await start(t)).client()
    const failed = { type: 'error', message: 'Wrong password, Ada' }
    t.is((await login(browser, '/login', 'wrong')).headers.get('location'), '/login')
    t.deepEqual(await me(browser), { session: {}, flash: [failed] })
    await browser.get('/fill')
    await login(browser, '/login', 'wrong')
    t.deepEqual(await me(browser), { session: { cart: { items: [1] } }, flash: [failed] })
    t.deepEqual((await me(browser)).flash, [])
  })

  test(`failureMessage and a plain 401 (${name})`, async t => {
    const browser = (await start(t)).client()
    await login(browser, '/login-message', 'wrong')
    await login(browser, '/login-message', 'wrong')
    t.deepEqual((await me(browser)).session, { messages: Array(2).fill('Wrong password, Ada') })
    t.is((await login(browser, '/login-status', 'wrong')).status, 401)
  })

  test(`keepSessionInfo keeps the data, and returnTo works (${name})`, async t => {
    const browser = (await start(t)).client()
    await browser.get('/fill')
    await browser.get('/want')
    const before = browser.fork()
    t.is((await login(browser, '/login-keep')).headers.get('location'), '/wanted')
    t.deepEqual((await me(browser)).session, { cart: { items: [1] }, messages: ['Hello'], passport: { user: 'Ada' } })
    t.deepEqual(await me(before), stranger)
  })

  test(`logout ends the session, even for a copy of the cookie (${name})`, async t => {
    const { client, errors } = await start(t)
    const browser = client()
    await login(browser)
    await browser.get('/fill')
    const stolen = browser.fork()
    t.is((await browser.get('/logout')).headers.get('location'), '/')
    t.deepEqual(await me(browser), stranger)
    t.deepEqual(await me(stolen), stranger)
    t.deepEqual(errors, [])
  })

  test(`logout with keepSessionInfo signs out and keeps the rest under a new id (${name})`, async t => {
    const browser = (await start(t)).client()
    await login(browser)
    await browser.get('/fill')
    const stolen = browser.fork()
    await browser.get('/logout?keepSessionInfo=true')
    const { user, session } = await me(browser)
    t.deepEqual([user, session.cart, session.passport?.user], [undefined, { items: [1] }, undefined])
    t.not(browser.jar.get('sid'), stolen.jar.get('sid'))
    t.deepEqual(await me(stolen), stranger)
  })

  test(`a double-clicked login signs in (${name})`, async t => {
    const browser = (await start(t)).client()
    await browser.get('/fill')
    const [one, two] = [browser.fork(), browser.fork()]
    await Promise.all([login(one), login(two)])
    t.deepEqual((await me(one)).user, { name: 'Ada' })
    t.deepEqual((await me(two)).user, { name: 'Ada' })
  })
}
