import { get, type IncomingMessage } from 'node:http'
import ava from 'ava'
import Koa from 'koa'
import { type CookieOptions, memoryStore, type SessionOptions, session } from 'koa-session-core'
import { type Handler, Koa2, site } from '../support/app.js'
import { inEnvironment, listenToWarnings } from '../support/warnings.js'

// Warnings and NODE_ENV belong to the process.
const test = ava.serial

const https = { 'x-forwarded-proto': 'https' }
const elsewhere = { host: 'shop.example' }

const handlers: Record<string, Handler> = {
  '/set': ctx => {
    ctx.session.who = 'me'
  },
  '/end': ctx => {
    ctx.session = null
  },
}

async function visit(
  t: Parameters<typeof site>[0],
  headers: Record<string, string>,
  { cookie, proxy = false, path = '/set' }: { cookie?: CookieOptions; proxy?: boolean; path?: string } = {},
) {
  const before = (app: Koa) => {
    app.proxy = proxy
  }
  const { url } = await site(t, handlers, { before, ...(cookie && { cookie }) })
  for (let time = 0; time < 2; time++) {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      // fetch() does not let anybody choose the Host.
      get(url + path, { headers, agent: false }, resolve).on('error', reject)
    })
    response.resume()
  }
}

test('one warning, once, where X-Forwarded-Proto: https arrives and app.proxy is off', async t => {
  const { heard, codes, tick } = listenToWarnings(t)
  await visit(t, https, { proxy: true })
  await visit(t, {})
  await visit(t, { 'x-forwarded-proto': 'http' })
  await visit(t, { 'x-forwarded-proto': 'http, https' })
  await tick()
  t.deepEqual(heard, [])
  await visit(t, { 'x-forwarded-proto': 'https, http' })
  await visit(t, https)
  await tick()
  t.deepEqual(codes(), ['KOA_SESSION_PROXY'])
  t.regex(heard[0]?.message ?? '', /X-Forwarded-Proto.*app\.proxy is off/)
})

test('the default store warns once when NODE_ENV is production', async t => {
  const { heard, codes, tick } = listenToWarnings(t)
  const during = async (env: string, options?: SessionOptions) => {
    await inEnvironment(env, () => session(options))
    await tick()
  }
  await during('development')
  await during('test', {})
  await during('production', { store: memoryStore() })
  t.deepEqual(heard, [], 'whoever names the memory store has chosen it')
  await during('production')
  await during('production', { idleTimeout: 60_000 })
  t.deepEqual(codes(), ['KOA_SESSION_MEMORY_STORE'])
})

test('sessions of another library whose time is over are a warning, once', async t => {
  const { codes, tick } = listenToWarnings(t)
  const adopting = (until: number) => session({ adopt: { from: () => undefined, until: new Date(until) } })
  adopting(Date.now() + 60_000)
  await tick()
  t.deepEqual(codes(), [])
  for (const until of [Date.now() - 1, 0]) adopting(until)
  await tick()
  t.deepEqual(codes(), ['KOA_SESSION_ADOPT_OVER'])
})

test('in production one warning of a cookie without Secure to a host that is not loopback', async t => {
  const { heard, codes, tick } = listenToWarnings(t)
  await visit(t, elsewhere)
  await inEnvironment('production', async () => {
    for (const host of ['localhost', 'app.localhost:3000', '127.0.0.1:80', '[::1]:3000']) await visit(t, { host })
    await visit(t, { ...elsewhere, ...https }, { proxy: true })
    await visit(t, elsewhere, { path: '/end' })
    await tick()
    t.deepEqual(
      codes().filter(code => code !== 'KOA_SESSION_MEMORY_STORE'),
      [],
    )
    await visit(t, {
      ...elsewhere,
      'cf-visitor': '{"scheme":"https"}',
      'x-forwarded-ssl': 'on',
      forwarded: 'for=1.2.3.4',
    })
    await visit(t, elsewhere, { cookie: { secure: false } })
    await tick()
  })
  t.deepEqual(
    codes().filter(code => code !== 'KOA_SESSION_MEMORY_STORE'),
    ['KOA_SESSION_COOKIE_INSECURE'],
  )
  const { message } = heard.at(-1) ?? { message: '' }
  t.regex(message, /app\.proxy = true/)
  t.regex(message, /app\.proxy is off/)
  t.regex(message, /forwarded, x-forwarded-ssl, cf-visitor/)
  t.notRegex(message, /1\.2\.3\.4/, 'the values of headers are not shown')
})

test('one warning of secure: true on a plain request that is not loopback', async t => {
  const { heard, codes, tick } = listenToWarnings(t)
  const cookie: CookieOptions = { secure: true }
  await visit(t, { host: 'localhost:3000' }, { cookie })
  await visit(t, { ...elsewhere, ...https }, { cookie, proxy: true })
  await tick()
  t.deepEqual(heard, [])
  await visit(t, elsewhere, { cookie })
  await tick()
  t.deepEqual(codes(), ['KOA_SESSION_COOKIE_SECURE'])
  t.regex(heard[0]?.message ?? '', /app\.proxy is off; the request has no header of a proxy/)
})

test('one warning of a cookie.domain that does not match the host', async t => {
  const { heard, codes, tick } = listenToWarnings(t)
  for (const [domain, host] of [
    ['example.com', 'example.com'],
    ['Example.com', 'shop.example.COM:3000'],
    ['.example.com', 'a.b.example.com'],
  ] as const) {
    await visit(t, { host }, { cookie: { domain } })
  }
  await tick()
  t.deepEqual(heard, [])
  for (const host of ['example.org', 'notexample.com']) await visit(t, { host }, { cookie: { domain: 'example.com' } })
  await tick()
  t.deepEqual(codes(), ['KOA_SESSION_COOKIE_DOMAIN'])
  t.regex(heard[0]?.message ?? '', /cookie\.domain example\.com/)
})

test("one warning of ctx.flash('info'), which connect-flash would answer with messages", async t => {
  const { heard, codes, tick } = listenToWarnings(t)
  const flashes: Record<string, Handler> = {
    '/text': ctx => ctx.flash('Saved'),
    '/typed': ctx => ctx.flash('info', 'Saved'),
    '/connect': ctx => ctx.flash('info'),
    '/take': ctx => ctx.flash(),
  }
  const { client } = await site(t, flashes)
  const browser = client()
  for (const path of ['/text', '/typed', '/take']) await browser.get(path)
  await tick()
  t.deepEqual(heard, [])
  for (const path of ['/connect', '/connect']) await browser.get(path)
  await tick()
  t.deepEqual(codes(), ['KOA_SESSION_FLASH'])
  t.regex(heard[0]?.message ?? '', /await ctx\.flash\(\)/)
  t.deepEqual((await browser.get('/take')).json, ['info', 'info'], 'it is queued all the same')
})

test('one warning of each time below a minute, as seconds are meant, but none of touchInterval', async t => {
  const { heard, codes, tick } = listenToWarnings(t)
  session({ maxAge: 60_000, idleTimeout: 60_000, absoluteTimeout: Number.POSITIVE_INFINITY, touchInterval: 5 })
  await tick()
  t.deepEqual(heard, [])
  for (let time = 0; time < 3; time++) session({ maxAge: 3_600, idleTimeout: 1_800 })
  session({ absoluteTimeout: 59_999 })
  await tick()
  t.deepEqual([...new Set(codes())], ['KOA_SESSION_SHORT_TIME'])
  t.deepEqual(
    heard.map(({ message }) => message.split(':', 1)[0]),
    [
      'maxAge is 3600, less than a minute',
      'idleTimeout is 1800, less than a minute',
      'absoluteTimeout is 59999, less than a minute',
    ],
  )
})

test('one warning of session.maxAge below a minute', async t => {
  const { heard, codes, tick } = listenToWarnings(t)
  const { url } = await site(t, ctx => {
    ctx.session.maxAge = 3_600
  })
  for (let time = 0; time < 2; time++) await fetch(url)
  await tick()
  t.deepEqual(codes(), ['KOA_SESSION_SHORT_TIME'])
  t.regex(heard[0]?.message ?? '', /^session\.maxAge is 3600, less than a minute/)
})

const members = ['sessionId', 'sessionSave', 'sessionOptions', 'regenerateSession', 'saveSession']

for (const [name, App] of Object.entries({ 'Koa 3': Koa, 'Koa 2': Koa2 })) {
  test(`${name}: one warning of each member of other session libraries that the app reads, which says what it is here`, async t => {
    const { heard, codes, tick } = listenToWarnings(t)
    const own: Record<string, Handler> = {
      '/set': ctx => {
        const own = Object.assign(ctx, { sessionId: 'mine' })
        return { own: own.sessionId, keys: Object.keys(ctx).includes('sessionId') }
      },
      '/read': ctx => members.map(name => String(Reflect.get(ctx, name))),
    }
    const { client } = await site(t, own, { Koa: App })
    const browser = client()
    t.deepEqual((await browser.get('/set')).json, { own: 'mine', keys: true })
    await tick()
    t.deepEqual(heard, [])
    for (let time = 0; time < 2; time++) {
      t.deepEqual((await browser.get('/read')).json, Array(members.length).fill('undefined'))
    }
    await tick()
    t.deepEqual(
      codes(),
      members.map(() => 'KOA_SESSION_MEMBER'),
    )
    const here = 'is a member of another session library and undefined here'
    t.deepEqual(
      heard.map(({ message }) => message),
      [
        `ctx.sessionId ${here}: use ctx.session.id, and in logs ctx.session.key`,
        `ctx.sessionSave ${here}: a changed session is saved by itself; await ctx.session.save() saves at once`,
        `ctx.sessionOptions ${here}: set ctx.session.maxAge for one session; all else is an option of session()`,
        `ctx.regenerateSession ${here}: await ctx.session.regenerate()`,
        `ctx.saveSession ${here}: await ctx.session.save()`,
      ],
    )
  })
}

test('members of other session libraries that an app defines on its contexts are left alone', async t => {
  const { heard, tick } = listenToWarnings(t)
  const before = (app: Koa) => {
    Object.assign(app.context, { sessionId: 'of the app' })
  }
  const { client } = await site(t, { '/': ctx => [Reflect.get(ctx, 'sessionId')] }, { before })
  t.deepEqual((await client().get('/')).json, ['of the app'])
  await tick()
  t.deepEqual(heard, [])
})

test('delete ctx.session is a 500 that says how to end a session, and the session lives on', async t => {
  const { client, errors } = await site(t, {
    ...handlers,
    '/delete': ctx => {
      ctx.session.who = 'nobody'
      delete (ctx as { session?: unknown }).session
    },
    '/get': ctx => ({ ...ctx.session }),
  })
  const browser = client()
  await browser.get('/set')
  t.is((await browser.get('/delete')).status, 500)
  t.deepEqual(
    errors.map(({ name, message }) => `${name}: ${message}`),
    ['TypeError: delete ctx.session does not end the session: set ctx.session = null, or await ctx.session.destroy()'],
  )
  t.deepEqual((await browser.get('/get')).json, { who: 'me' })
})
