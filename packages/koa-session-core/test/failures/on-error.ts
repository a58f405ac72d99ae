import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import { inspect } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { ExecutionContext } from 'ava'
import Koa, { type Context } from 'koa'
import { memoryStore, type SessionOptions, type Sessions, type SweepableStore, session } from 'koa-session-core'
import { Koa2, site } from '../support/app.js'
import { test } from '../support/test.js'

const canary = 'hunter2'
const subject = (data: object) => (data as { user?: string }).user

/** A store whose records cannot be decoded, and whose sweep fails. */
function broken(): { store: SweepableStore; damage: () => void } {
  const inner = memoryStore()
  let isDamaged = false
  return {
    damage: () => {
      isDamaged = true
    },
    store: {
      ...inner,
      async read(key, call) {
        const record = await inner.read(key, call)
        return record && isDamaged ? { ...record, data: 'no record' } : record
      },
      sweep: () => Promise.reject(new Error('down')),
    },
  }
}

/** A site with somebody's request, and then everything that fails without one. */
async function failing(t: ExecutionContext, options: SessionOptions, App: typeof Koa, before = (_: Koa) => {}) {
  const { store, damage } = broken()
  const { client, sessions, errors } = await site(
    t,
    ctx => {
      ctx.session.user = 'ada'
      ctx.session.password = canary
    },
    { Koa: App, store, subject, sweepInterval: 5, ...options, before },
  )
  const one = client()
  await one.get('/')
  damage()
  const req = { headers: { cookie: `sid=${one.jar.get('sid')}` }, socket: {} } as IncomingMessage
  t.is(await sessions.open(req), undefined)
  for await (const _ of sessions.list('ada')) t.fail('it cannot be decoded')
  await t.throwsAsync(sessions.sweep(), { code: 'ERR_SESSION_STORE' })
  return { id: one.jar.get('sid') as string, errors }
}

for (const [name, App] of Object.entries({ 'Koa 3': Koa, 'Koa 2': Koa2 })) {
  test(`${name}: a failure outside of a request comes without ctx, to onError`, async t => {
    const heard: unknown[][] = []
    const onError = (...args: unknown[]) => void heard.push(args)
    await failing(t, { onError }, App)
    while (heard.length < 4) await setTimeout(5)
    t.true(heard.every(([, ctx]) => ctx === undefined))
    const codes = new Set(heard.map(([error]) => (error as { code: string }).code))
    t.deepEqual([...codes].sort(), ['ERR_SESSION_DECODE', 'ERR_SESSION_STORE'])
  })

  test(`${name}: a failure outside of a request comes without ctx, to the app`, async t => {
    const heard: unknown[][] = []
    const { id } = await failing(t, {}, App, app => app.on('error', (...args) => heard.push(args)))
    while (heard.length < 4) await setTimeout(5)
    t.true(heard.every(args => args.length === 1))
    t.false(inspect(heard, { depth: 9, showHidden: true }).includes(id))
  })

  test(`${name}: a failure in a request comes with its own ctx`, async t => {
    const { store } = broken()
    const contexts: unknown[] = []
    const failed: string[] = []
    const { client } = await site(
      t,
      ctx => {
        ctx.session.n = 1
        contexts.push(ctx)
      },
      {
        Koa: App,
        store: { ...store, touch: () => Promise.reject(new Error('down')) },
        touchInterval: 0,
        onError: (error, ctx) => {
          failed.push((error as { code?: string }).code as string)
          t.is(ctx as unknown, contexts.at(-1))
        },
      },
    )
    await client().get('/')
    const one = client()
    await one.get('/')
    await setTimeout(5)
    await one.get('/')
    t.deepEqual(failed, ['ERR_SESSION_STORE'])
  })

  test(`${name}: Koa's own listener is content without ctx, and logs no id`, async t => {
    const { sessions, ask, logged } = await logging(t, App)
    const id = await ask()
    t.is(await sessions.open({ headers: { cookie: `sid=${id}` }, socket: {} } as IncomingMessage), undefined)
    t.is(logged.length, 1)
    t.regex(logged[0] as string, /SessionError/)
    t.false(logged[0]?.includes(id))
  })
}

async function logging(t: ExecutionContext, App: typeof Koa) {
  const { store, damage } = broken()
  const app = new App()
  const logged: string[] = []
  const own = app.onerror.bind(app)
  app.on('error', error => {
    const { error: log } = console
    console.error = (...args) => void logged.push(inspect(args))
    try {
      own(error)
    } finally {
      console.error = log
    }
  })
  const sessions = session({ store })
  app.use(sessions)
  app.use(ctx => {
    Object.assign(ctx.session, { n: 1 })
    ctx.body = ctx.session.id
  })
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const ask = async () => {
    const response = await fetch(`http://127.0.0.1:${(server.address() as { port: number }).port}`)
    damage()
    return response.text()
  }
  return { sessions, ask, logged }
}

const fails: Record<string, () => unknown> = {
  throws: () => {
    throw new Error(canary)
  },
  rejects: () => Promise.reject(new Error(canary)),
  'rejects later': async () => {
    await setTimeout(5)
    throw { password: canary }
  },
  'throws a string': () => {
    throw canary
  },
  'throws what does not let itself be read': () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    throw proxy
  },
  'returns a promise of another kind that rejects': () => ({
    then: (_: unknown, reject: (reason: unknown) => void) => reject(canary),
  }),
  'returns a promise of another kind that throws': () => ({
    get then() {
      throw new Error(canary)
    },
  }),
}

for (const [what, onError] of Object.entries(fails)) {
  test.serial(`onError that ${what} is a warning without data, never an unhandled rejection`, async t => {
    const warnings: (Error & { code?: string })[] = []
    const unhandled: unknown[] = []
    const hear = (warning: Error) => void warnings.push(warning)
    const hearRejection = (reason: unknown) => void unhandled.push(reason)
    process.on('warning', hear)
    process.on('unhandledRejection', hearRejection)
    t.teardown(() => {
      process.off('warning', hear)
      process.off('unhandledRejection', hearRejection)
    })
    const own = () => warnings.filter(({ code }) => code === 'KOA_SESSION_ON_ERROR')
    const { store, damage } = broken()
    const { client } = await site(
      t,
      ctx => {
        ctx.session.password = canary
      },
      { store, onError: onError as () => void },
    )
    const one = client()
    await one.get('/')
    damage()
    t.is((await one.get('/')).status, 204)
    while (own().length === 0) await setTimeout(5)
    await setTimeout(10)
    t.is(own().length, 1)
    t.regex(own()[0]?.message as string, /onError failed while it handled ERR_SESSION_DECODE/)
    t.false(inspect(warnings, { depth: 9, showHidden: true }).includes(canary))
    t.deepEqual(unhandled, [])
  })
}

test.serial(
  'Outside of a request, a failure that no app can hear of is a warning, and so is a listener that needs ctx',
  async t => {
    const messages: string[] = []
    const hear = (warning: Error & { code?: string }) => {
      if (warning.code === 'KOA_SESSION_ON_ERROR') messages.push(warning.message)
    }
    process.on('warning', hear)
    t.teardown(() => process.off('warning', hear))
    const { sessions, ask, app } = await bare(t)
    const cookie = (await sessions.create({ n: 1 } as object)).cookie
    sessions.damage()
    const open = () => sessions.open({ headers: { cookie }, socket: {} } as IncomingMessage)
    t.is(await open(), undefined)
    while (messages.length < 1) await setTimeout(5)
    t.regex(messages[0] as string, /ERR_SESSION_DECODE happened outside of a request/)
    await ask()
    app.on('error', (_, ctx: Context) => ctx.path)
    t.is(await open(), undefined)
    while (messages.length < 2) await setTimeout(5)
    t.regex(messages[1] as string, /listener to 'error' failed .* it gets no ctx/)
  },
)

async function bare(t: ExecutionContext) {
  const { store, damage } = broken()
  const app = new Koa()
  const sessions: Sessions = session({ store })
  app.use(sessions)
  const server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const ask = () => fetch(`http://127.0.0.1:${(server.address() as { port: number }).port}`)
  return { app, ask, sessions: Object.assign(sessions, { damage }) }
}

test('The context of a request is kept no longer than the request', async t => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const kept: WeakRef<object>[] = []
  const { client } = await site(t, ctx => {
    ctx.session.n = 1
    kept.push(new WeakRef(ctx))
  })
  for (let n = 0; n < 3; n++) await client().get('/')
  for (let tries = 0; tries < 100 && kept[0]?.deref(); tries++) {
    await setTimeout(10)
    collect()
  }
  t.is(kept[0]?.deref(), undefined)
})
