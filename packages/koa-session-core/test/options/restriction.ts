import { type Handler as Act, type Asking, exchange } from '@koa-session/behaviour'
import ava from 'ava'
import { headerTransport, memoryStore, type SessionOptions } from 'koa-session-core'
import { type Handler, site, watched } from '../support/app.js'
import { raw } from '../support/raw.js'
import { codes, start } from '../support/start.js'

// One after the other: what is said once per process is said to one test.
const test = ava.serial
test.beforeEach(() => void Reflect.deleteProperty(globalThis, Symbol.for('koa-session-core.warned')))

const from = (headers: Record<string, string>, method = 'GET'): Asking => ({
  method,
  headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [`sec-fetch-${name}`, value])),
})
const crossSite = (mode: string, dest: string, method = 'GET') => from({ site: 'cross-site', mode, dest }, method)

const keptBack: Record<string, Asking> = {
  'a form': crossSite('navigate', 'document', 'POST'),
  'a form without a destination': from({ site: 'cross-site', mode: 'navigate' }, 'POST'),
  'a PUT': crossSite('cors', 'empty', 'PUT'),
  'an iframe': crossSite('navigate', 'iframe'),
  'a frame': crossSite('navigate', 'frame'),
  'an embed': crossSite('navigate', 'embed'),
  'an object': crossSite('navigate', 'object'),
  'a fenced frame': crossSite('navigate', 'fencedframe'),
  'an iframe asked for by HEAD': crossSite('navigate', 'iframe', 'HEAD'),
  'an image': crossSite('no-cors', 'image'),
  'a script': crossSite('no-cors', 'script'),
  'a fetch': crossSite('cors', 'empty'),
  'a websocket': crossSite('websocket', 'empty'),
  'a request without a mode': from({ site: 'cross-site' }),
}
const usual: Record<string, Asking> = {
  'a link': crossSite('navigate', 'document'),
  'a link by HEAD': crossSite('navigate', 'document', 'HEAD'),
  'a link of a browser that names no destination': from({ site: 'cross-site', mode: 'navigate' }),
  'a form of the same site': from({ site: 'same-site', mode: 'navigate', dest: 'document' }, 'POST'),
  'a form of the same origin': from({ site: 'same-origin', mode: 'navigate', dest: 'document' }, 'POST'),
  'an iframe of the same origin': from({ site: 'same-origin', mode: 'navigate', dest: 'iframe' }),
  'a bookmark': from({ site: 'none', mode: 'navigate', dest: 'document' }),
  'a POST that says nothing': { method: 'POST' },
  'an image of a client that names no site': from({ mode: 'no-cors', dest: 'image' }),
}

const writes: Record<string, Act> = {
  'a value': ({ session }) => {
    session.secret = 'csrf'
  },
  'a value that is saved': async ({ session }) => {
    session.secret = 'csrf'
    return session.save()
  },
  'an object': page => {
    page.session = { secret: 'csrf' }
  },
  'an update': ({ session }) =>
    session.update(data => {
      data.secret = 'csrf'
    }),
  'a flash': page => page.flash('Hello'),
  'a value and rotateId': ({ session }) => {
    session.secret = 'csrf'
    return session.rotateId()
  },
  'a value after destroy': async page => {
    await page.session.destroy()
    page.session.secret = 'csrf'
  },
  'a value and regenerate, which signs nobody in': async page => {
    await page.session.regenerate()
    page.session.secret = 'csrf'
  },
  'an answer below 500': page => {
    page.session.secret = 'csrf'
    page.throw(401)
  },
}

for (const [what, asking] of Object.entries(keptBack)) {
  test(`A cross-site request whose cookie may have been kept back makes no session: ${what}`, async t => {
    const { site, store, browser } = await start(t)
    for (const [name, write] of Object.entries(writes)) {
      const { cookies, value } = await browser.visit(write, asking)
      t.deepEqual(cookies, [], name)
      if (name !== 'an answer below 500' && asking.method !== 'HEAD') t.not(value, true, 'save() says so')
    }
    t.deepEqual(store.calls, [])
    t.deepEqual(codes(site.reported), ['KOA_SESSION_CROSS_SITE'], 'said once')
    t.regex(String(site.reported[0]), /redirect/)
    t.deepEqual(codes(site.thrown), [undefined], 'the 401, and nothing of ours')
  })

  test(`A cross-site request may sign somebody in: ${what}`, async t => {
    const { site, browser } = await start(t)
    const signIns: Act[] = [
      async page => {
        page.flash('Welcome')
        await page.session.regenerate()
        page.session.user = 'ann'
      },
      page => {
        page.flash('Welcome')
        page.session.user = 'ann'
      },
      async page => {
        page.flash('Welcome')
        await page.session.update(data => {
          data.user = 'ann'
        })
        await page.session.rotateId()
        page.session.n = 1
      },
    ]
    for (const signIn of signIns) {
      const fresh = browser.copy()
      const { cookies } = await fresh.visit(signIn, asking)
      t.is(cookies.length, 1)
      t.is((await fresh.data()).user, 'ann')
      t.deepEqual((await fresh.visit(page => page.flash())).value, ['Welcome'])
    }
    t.deepEqual(site.reported, [])
  })
}

for (const [what, asking] of Object.entries(usual)) {
  test(`Other requests make sessions as usual: ${what}`, async t => {
    const { site, browser } = await start(t)
    await browser.visit(writes['a value'] as Act, asking)
    t.deepEqual(await browser.data(), { secret: 'csrf' })
    t.deepEqual(site.reported, [])
  })
}

const form = keptBack['a form'] as Asking

test('Without the option subject a cross-site request signs somebody in by regenerate', async t => {
  const { site, browser } = await start(t, { subject: undefined } as unknown as SessionOptions)
  const writesUser: Act = ({ session }) => {
    session.user = 'ann'
  }
  t.deepEqual((await browser.visit(writesUser, form)).cookies, [])
  const undone: Act = async page => {
    await page.session.regenerate()
    await page.session.destroy()
    page.session.user = 'ann'
  }
  t.deepEqual((await browser.visit(undone, form)).cookies, [])
  await browser.visit(async page => {
    await page.session.regenerate()
    page.session.user = 'ann'
  }, form)
  t.deepEqual(await browser.data(), { user: 'ann' })
  t.deepEqual(codes(site.reported), ['KOA_SESSION_CROSS_SITE'])
})

test('A cross-site request that brings a session cookie works with it', async t => {
  const { site, browser } = await start(t)
  await browser.visit(({ session }) => void (session.n = 1))
  await browser.visit(({ session }) => void session.n++, form)
  t.is((await browser.visit(({ session }) => session.rotateId(), form)).cookies.length, 1)
  t.deepEqual(await browser.data(), { n: 2 })
  t.regex(`${(await browser.visit(({ session }) => session.destroy(), form)).cookies}`, /Max-Age=0/)
  t.deepEqual(site.reported, [])
})

test('A cross-site request without an id clears nothing, because the cookie of the visitor may have been kept back', async t => {
  const { browser } = await start(t)
  for (const cookie of ['', 'sid=x']) {
    const asking = { ...form, headers: { ...form.headers, cookie } }
    for (const end of ['destroy', 'regenerate'] as const) {
      t.deepEqual((await browser.send(({ session }) => session[end](), asking)).cookies, [], `${end} ${cookie}`)
    }
  }
})

test("With sameSite 'none', or another transport, nothing was kept back", async t => {
  const options: SessionOptions[] = [
    { cookie: { sameSite: 'none', secure: true } },
    { transport: headerTransport({ name: 'X-Session' }) },
    { transport: { read: () => undefined, write: (ctx, id) => ctx.set('X-Session', id ?? '') } },
  ]
  for (const option of options) {
    const { site, browser } = await start(t, option)
    const { headers, cookies } = await browser.visit(writes['a value'] as Act, form)
    t.is(headers['x-session'] === undefined ? cookies.length : 1, 1)
    t.deepEqual(site.reported, [])
  }
  for (const sameSite of ['lax', 'strict'] as const) {
    const { browser } = await start(t, { cookie: { sameSite } })
    t.deepEqual((await browser.visit(writes['a value'] as Act, form)).cookies, [])
    t.is((await browser.visit(writes['a value'] as Act, usual['a link'])).cookies.length, 1, 'a link, as usual')
  }
})

test('A request that only reads, or writes nothing in the end, is said nothing about', async t => {
  const { site, browser } = await start(t)
  const reads: Act[] = [
    ({ session }) => session.n,
    page => page.flash(),
    ({ session }) => session.save(),
    ({ session }) => session.rotateId(),
    ({ session }) => session.update(() => {}),
    ({ session }) => {
      session.n = 1
      delete session.n
    },
  ]
  for (const read of reads) t.deepEqual((await browser.visit(read, form)).cookies, [])
  t.deepEqual(site.reported, [])
})

const handlers = (ctx: Parameters<Handler>[0]): unknown => {
  const act = ctx.get('act')
  if (act === 'write') ctx.session.n = (ctx.session.n ?? 0) + 1
  if (act === 'save') {
    ctx.session.n = (ctx.session.n ?? 0) + 1
    return ctx.session.save()
  }
  if (act === 'flash') ctx.flash('Hello')
  if (act === 'rotate') return ctx.session.rotateId()
  if (act === 'login') ctx.session.user = 'ann'
  if (act === 'logout') delete ctx.session.user
  if (act === 'destroy') return ctx.session.destroy()
  if (act === 'remember') ctx.session.maxAge = 60_000
  if (act === 'regenerate') return ctx.session.regenerate()
  return { ...ctx.session }
}

/** A site with this `cookie.path`, and its requests. */
async function under(t: Parameters<typeof site>[0], path: string, options: Partial<Parameters<typeof site>[2]> = {}) {
  const store = watched(memoryStore())
  const subject = (data: object) => (data as { user?: string }).user
  const here = await site(t, handlers, { store, subject, cookie: { path }, ...options })
  const ask = async (url: string, act = 'read', cookie = '') => {
    store.calls.length = 0
    return exchange(Number(new URL(here.url).port), url, cookie, { headers: { act } })
  }
  return { ...here, store, ask }
}

for (const [path, inside, outside] of [
  [
    '/admin',
    ['/admin', '/admin/', '/admin/x?y', '/admin?a=/', '/admin//x'],
    ['/', '/administrator', '/Admin', '/x/admin', '//admin', '/%61dmin', '/?/admin/'],
  ],
  ['/admin/', ['/admin/', '/admin/x', '/admin//'], ['/admin', '/', '/adminx/', '/admin?/']],
  ['/', ['/', '/admin', '//'], []],
] as const) {
  test(`Outside of cookie.path no session is made and no cookie is sent: ${path}`, async t => {
    const { ask, store, errors } = await under(t, path)
    for (const url of inside) t.is((await ask(url, 'write')).cookies.length, 1, url)
    t.deepEqual(errors, [])
    for (const url of outside) {
      for (const act of ['write', 'flash', 'login', 'remember', 'destroy', 'regenerate']) {
        const { cookies, status } = await ask(url, act)
        t.deepEqual([cookies, status < 300, store.calls], [[], true, []], `${url} ${act}`)
      }
      t.is((await ask(url, 'save')).body, 'false')
    }
    t.deepEqual(codes(errors), outside.length > 0 ? ['KOA_SESSION_OUTSIDE_PATH'] : [], 'said once')
  })
}

test('Outside of cookie.path a session that comes all the same is used and kept, and its id and cookie stay', async t => {
  const { ask, sessions, errors } = await under(t, '/admin', { touchInterval: 0, maxAge: 60_000 })
  const { cookie } = await sessions.create({ n: 1, user: 'ben' } as object)
  const at = async (act: string) => {
    const { cookies, body } = await ask('/', act, cookie)
    t.deepEqual(cookies, [], act)
    return body === '' ? undefined : JSON.parse(body)
  }
  t.deepEqual(await at('read'), { n: 1, user: 'ben' })
  t.is(await at('save'), true)
  await at('write')
  await at('remember')
  await at('flash')
  t.deepEqual(errors, [])
  t.is(await at('rotate'), false)
  await at('login')
  t.deepEqual(await at('read'), { n: 3, user: 'ben' }, 'nobody else is signed in under this id')
  t.deepEqual(codes(errors), ['KOA_SESSION_OUTSIDE_PATH'])
  await at('logout')
  t.deepEqual(await at('read'), { n: 3 }, 'to sign out takes no other id')
  await at('destroy')
  t.deepEqual(await at('read'), {}, 'and the session can be ended')
  t.is((await ask('/admin', 'write', cookie)).cookies.length, 1)
})

test('cookie.path counts from where the client sees the app, mounted or not', async t => {
  const mounted = await under(t, '/admin', {
    before: app =>
      app.use(async (ctx, next) => {
        ctx.path = ctx.path.slice('/admin'.length) || '/'
        await next()
      }),
  })
  t.is((await mounted.ask('/admin/x', 'write')).cookies.length, 1, 'as koa-mount does')
  t.is((await mounted.ask('/public/admin', 'write')).cookies.length, 0)
  const inExpress = await under(t, '/admin', {
    before: app =>
      app.use((ctx, next) => {
        const req = ctx.req as typeof ctx.req & { originalUrl?: string }
        req.originalUrl = `/admin${req.url}`
        return next()
      }),
  })
  t.is((await inExpress.ask('/x', 'write')).cookies.length, 1, 'as Express does')
})

test('In absolute form the path is behind the host', async t => {
  const { url, store } = await under(t, '/admin')
  const ask = (target: string) =>
    raw(url, `GET ${target} HTTP/1.1\r\nHost: a\r\nAct: write\r\nConnection: close\r\n\r\n`)
  t.regex(await ask('http://a/admin/x'), /set-cookie/i)
  t.notRegex(await ask('http://a/'), /set-cookie/i)
  t.notRegex(await ask('http://a'), /set-cookie/i)
  t.notRegex(await ask('http://admin/admins'), /set-cookie/i)
  t.deepEqual(store.calls, ['write'])
})
