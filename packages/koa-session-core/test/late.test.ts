import { setTimeout } from 'node:timers/promises'
import test from 'ava'
import Koa, { type Middleware } from 'koa'
import { type Ctx, gate, type Handler, Koa2, site } from './support/app.js'
import { type Platform, platforms, serve } from './support/serve.js'

type Change = (ctx: Ctx) => unknown

const changes: Record<string, Change> = {
  'ctx.flash(value)': ctx => (ctx as unknown as { flash(value: unknown): void }).flash('sorry'),
  'ctx.session = data': ctx => {
    ctx.session = { a: 2 }
  },
  'ctx.session = null': ctx => {
    ctx.session = null
  },
}

/** Run `late` in an error handler outside of the session, and say what `onError` was told. */
async function failing(t: Parameters<typeof serve>[0], platform: Platform, late: Change, where: 'catch' | 'listener') {
  const told: (Error & { code?: string })[] = []
  const over = gate()
  const outside: Middleware = async (ctx, next) => {
    ctx.res.once('close', () => over.open())
    if (where === 'listener') return next()
    try {
      await next()
    } catch {
      await late(ctx as unknown as Ctx)
      ctx.status = 400
    }
  }
  const handler: Handler = async ctx => {
    if (ctx.path === '/set') ctx.session.a = 1
    else if (ctx.path === '/get') {
      const { flash, session } = ctx as unknown as { flash(): Promise<unknown[]>; session: object }
      Object.assign(ctx, { body: JSON.stringify({ session: { ...session }, flash: await flash() }) })
    } else ctx.throw(400)
    ctx.status = 200
  }
  const served = await serve(t, platform, handler, {
    outside: [outside],
    options: { onError: error => void told.push(error) },
  })
  if (where === 'listener') served.app.on('error', (_, ctx) => late(ctx))
  const cookie = ((await served.ask('/set')).cookies[0] as string).split(';')[0] as string
  const answer = await served.ask('/', cookie)
  await over.promise
  await setTimeout(20)
  const { text } = await served.ask('/get', cookie)
  return { answer, told, left: JSON.parse(text) as { session: object; flash: unknown[] } }
}

for (const [on, platform] of Object.entries(platforms)) {
  for (const where of ['catch', 'listener'] as const) {
    for (const [what, change] of Object.entries(changes)) {
      test(`${on}: after the commit, ${what} in an error ${where} is lost, and onError is told`, async t => {
        const { answer, told, left } = await failing(t, platform, change, where)
        t.is(answer.status, 400)
        t.deepEqual(
          told.map(({ code }) => code),
          ['KOA_SESSION_UNSAVED'],
        )
        t.true(told[0] instanceof TypeError)
        t.regex(told[0]?.stack as string, /^TypeError \[KOA_SESSION_UNSAVED\]: /)
        t.regex(told[0]?.message as string, /await ctx\.session\.save\(\)/)
        t.deepEqual(left, { session: { a: 1 }, flash: [] })
      })

      test(`${on}: after the commit, ${what} in an error ${where} is kept by save()`, async t => {
        const late: Change = async ctx => {
          change(ctx)
          t.true(await ctx.session.save())
        }
        const { told, left } = await failing(t, platform, late, where)
        t.deepEqual(told, [])
        const expected = {
          'ctx.flash(value)': { session: { a: 1 }, flash: ['sorry'] },
          'ctx.session = data': { session: { a: 2 }, flash: [] },
          'ctx.session = null': { session: {}, flash: [] },
        }
        t.deepEqual(left, expected[what as keyof typeof expected])
      })
    }
  }

  test(`${on}: a new session that save() keeps after the commit reaches the client`, async t => {
    const outside: Middleware = async (context, next) => {
      const ctx = context as unknown as Ctx & { flash(value: unknown): void }
      await next().catch(() => {})
      ctx.flash('sorry')
      t.true(await ctx.session.save())
      ctx.status = 400
    }
    const { ask } = await serve(t, platform, ctx => ctx.throw(400), { outside: [outside] })
    const answer = await ask()
    t.is(answer.cookies.length, 1)
    t.deepEqual([answer.header('vary'), answer.header('cache-control')], [['Cookie'], ['no-store']])
  })
}

test('onError is told once for a request, even if a listener that it calls changes the session again', async t => {
  const heard: string[] = []
  const over = gate()
  const { client } = await site(t, ctx => ctx.throw(400), {
    before: app => {
      app.on('error', (error, ctx) => {
        heard.push(error.code ?? error.message)
        ctx.flash('sorry')
      })
      app.use((ctx, next) => {
        ctx.res.once('close', () => over.open())
        return next()
      })
    },
  })
  await client().get('/')
  await over.promise
  while (heard.length < 2) await setTimeout(5)
  t.deepEqual(heard, ['Bad Request', 'KOA_SESSION_UNSAVED'])
})

test('What comes when the response is out is told too', async t => {
  const told: (Error & { code?: string })[] = []
  const { client } = await site(
    t,
    ctx => {
      const { flash } = ctx as unknown as { flash(value: unknown): void }
      ctx.res.once('close', () => setImmediate(flash, 'late'))
      ctx.session.a = 1
    },
    { onError: error => void told.push(error) },
  )
  await client().get('/')
  while (told.length === 0) await setTimeout(5)
  t.is(told[0]?.code, 'KOA_SESSION_UNSAVED')
})

test('What comes after a handler that did not open the session is told too, and kept by save()', async t => {
  const told: (Error & { code?: string })[] = []
  const outside: Middleware = async (context, next) => {
    const ctx = context as unknown as Ctx & { flash(value: unknown): void }
    await next()
    ctx.flash('late')
    if (context.path === '/save') t.true(await ctx.session.save())
  }
  const { ask } = await serve(t, platforms['Koa 3, HTTP/1'] as Platform, ctx => (ctx.status = 204), {
    outside: [outside],
    options: { onError: error => void told.push(error) },
  })
  t.is((await ask('/save')).cookies.length, 1)
  t.deepEqual((await ask('/')).cookies, [])
  while (told.length === 0) await setTimeout(5)
  t.deepEqual(
    told.map(({ code }) => code),
    ['KOA_SESSION_UNSAVED'],
  )
})

test('A property that is set after the response and not saved is told to onError', async t => {
  const late: ((told: unknown) => void)[] = []
  const done = () => new Promise(resolve => late.push(resolve))
  const change = (then?: (ctx: Ctx) => unknown): Handler => {
    return ctx => {
      ctx.session.who ??= 'me'
      ctx.res.once('close', async () => {
        ctx.session.late = (ctx.session.late ?? 0) + 1
        await then?.(ctx)
      })
    }
  }
  const { client } = await site(
    t,
    {
      '/forgotten': change(),
      '/saved': change(ctx => ctx.session.save()),
      '/read': ctx => {
        ctx.session.who ??= 'me'
        ctx.res.once('close', () => void ctx.session.late)
      },
      '/get': ctx => ({ ...ctx.session }),
    },
    { onError: error => late.shift()?.((error as { code?: string }).code) },
  )
  const browser = client()
  const told = done()
  await browser.get('/read')
  await browser.get('/saved')
  // Each of the two has its second before this one has.
  await browser.get('/forgotten')
  t.is(await told, 'KOA_SESSION_UNSAVED')
  t.is(late.length, 0)
  t.deepEqual((await browser.get('/get')).json, { who: 'me', late: 1 })
})

// First, because only the first sessions of a process are compared.
test.serial('A property that is set after the response by a variable of the handler is told too', async t => {
  const told: (Error & { code?: string })[] = []
  const late = (keep: (ctx: Ctx) => unknown): Handler => {
    return ctx => {
      const { session } = ctx
      session.who ??= 'me'
      ctx.res.once('close', async () => {
        session.late = (session.late ?? 0) + 1
        await keep(ctx)
      })
    }
  }
  const { client } = await site(
    t,
    {
      '/forgotten': late(() => {}),
      '/saved': late(ctx => ctx.session.save()),
      '/ended': late(ctx => ctx.session.destroy()),
      '/get': ctx => ({ ...ctx.session }),
    },
    { onError: error => void told.push(error) },
  )
  const browser = client()
  await browser.get('/saved')
  await client().get('/ended')
  await browser.get('/get')
  // Each of the others has its second before this one has.
  await browser.get('/forgotten')
  while (told.length === 0) await setTimeout(5)
  t.deepEqual(
    told.map(({ code }) => code),
    ['KOA_SESSION_UNSAVED'],
  )
  t.deepEqual((await browser.get('/get')).json, { who: 'me', late: 1 })
})

for (const [name, App] of Object.entries({ 'Koa 3': Koa, 'Koa 2': Koa2 })) {
  test(`${name}: an earlier middleware that does not await next() is named when the id cannot be delivered`, async t => {
    const { client, errors } = await site(
      t,
      async ctx => {
        await setTimeout(20)
        ctx.session.who = 'me'
      },
      {
        Koa: App,
        before: app =>
          void app.use((_, next) => {
            next()
          }),
      },
    )
    await client().get('/')
    while (errors.length === 0) await setTimeout(5)
    t.is(errors[0]?.code, 'ERR_SESSION_HEADERS_SENT')
    t.regex(errors[0]?.message ?? '', /did not await next\(\)/)
  })
}
