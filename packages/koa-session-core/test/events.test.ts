import { createHash } from 'node:crypto'
import { channel, subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import test, { type ExecutionContext } from 'ava'
import {
  type EnumerableStore,
  isSessionError,
  memoryStore,
  type SessionEvent,
  type Store,
  type StoreTrace,
  type SweepableStore,
} from 'koa-session-core'
import { gate, type Handler, site } from './support/app.js'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

type Full = SweepableStore & EnumerableStore
let stores = 0
/** A store with a name of its own: the channels are the whole process's. */
function named(changes: Partial<Store> = {}): Full {
  return { ...memoryStore(), ...changes, name: `test-${++stores}` }
}

/** The messages of the event channel about a store. */
function events(t: ExecutionContext, store: Store): SessionEvent[] {
  const heard: SessionEvent[] = []
  const listen = (message: unknown) => {
    if ((message as SessionEvent).store === store.name) heard.push(message as SessionEvent)
  }
  subscribe('koa-session:event', listen)
  t.teardown(() => unsubscribe('koa-session:event', listen))
  return heard
}

type Phase = 'start' | 'end' | 'asyncStart' | 'asyncEnd' | 'error'

/** The messages of the tracing channel about a store: each phase, and the message at that moment. */
function traces(t: ExecutionContext, store: Store) {
  const heard: { phase: Phase; message: StoreTrace & { error?: unknown }; now: object }[] = []
  const listen = (phase: Phase) => (message: object) => {
    const trace = message as StoreTrace
    if (trace.store === store.name) heard.push({ phase, message: trace, now: { ...trace } })
  }
  const subscribers = {
    start: listen('start'),
    end: listen('end'),
    asyncStart: listen('asyncStart'),
    asyncEnd: listen('asyncEnd'),
    error: listen('error'),
  }
  tracingChannel<StoreTrace, StoreTrace>('koa-session:store').subscribe(subscribers)
  t.teardown(() => void tracingChannel<StoreTrace, StoreTrace>('koa-session:store').unsubscribe(subscribers))
  return heard
}

const handlers: Record<string, Handler> = {
  '/set': ctx => {
    ctx.session.secret = 'a secret'
    ctx.session.user = 'ada'
  },
  '/get': ctx => ({ ...ctx.session }),
  '/look': () => 'nothing',
  '/rotate': ctx => ctx.session.rotateId(),
  '/end': ctx => ctx.session.destroy(),
}
const subject = (data: object) => (data as { user?: string }).user

// First, and alone: afterwards somebody listens.
test.serial('nothing is published without a subscriber', async t => {
  const published: string[] = []
  const names = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map(phase => `tracing:koa-session:store:${phase}`)
  for (const name of [...names, 'koa-session:event']) {
    const one = channel(name)
    t.false(one.hasSubscribers)
    Object.assign(one, {
      publish: () => published.push(name),
      runStores: (_message: unknown, run: () => unknown) => {
        published.push(name)
        return run()
      },
    })
    t.teardown(() => {
      Reflect.deleteProperty(one, 'publish')
      Reflect.deleteProperty(one, 'runStores')
    })
  }
  const { client, sessions } = await site(t, handlers, { store: named(), subject })
  const one = client()
  for (const path of ['/set', '/get', '/rotate', '/end']) t.true((await one.get(path)).status < 300)
  one.jar.set('sid', 'A'.repeat(43))
  await one.get('/look')
  await sessions.sweep()
  t.deepEqual(published, [])
})

test('the tracing channel koa-session:store tells of each store call: store, operation, key, outcome', async t => {
  const store = named()
  const heard = traces(t, store)
  const { client, sessions } = await site(t, handlers, { store, subject, touchInterval: 0 })
  const one = client()
  const outcomes = () =>
    heard
      .splice(0)
      .filter(({ phase }) => phase === 'asyncEnd')
      .map(({ message: { operation, key, outcome } }) => [operation, key, outcome])

  await one.get('/set')
  const key = sha256(one.jar.get('sid') as string)
  t.deepEqual(outcomes(), [['write', key, 'true']])
  await new Promise(resolve => setTimeout(resolve, 5))
  await one.get('/look')
  t.deepEqual(outcomes(), [
    ['read', key, 'found'],
    ['touch', key, 'true'],
  ])
  const stranger = 'A'.repeat(43)
  await client().get('/look', { headers: { cookie: `sid=${stranger}` } })
  t.deepEqual(outcomes(), [['read', sha256(stranger), 'missing']])
  for await (const _ of sessions.list('ada')) break
  t.deepEqual(outcomes(), [
    ['keys', undefined, 'done'],
    ['read', key, 'found'],
  ])
  t.is(await sessions.sweep(), 0)
  t.deepEqual(outcomes(), [['sweep', undefined, 'done']])
  await one.get('/end')
  t.deepEqual(
    outcomes().filter(([operation]) => operation !== 'touch'),
    [
      ['read', key, 'found'],
      ['write', key, 'true'],
      ['destroy', key, 'done'],
    ],
  )
})

test('a lost race is the outcome false, not an error', async t => {
  let losing = true
  const inner = memoryStore()
  const store = named({
    ...inner,
    async write(key, record, expected, call) {
      if (!losing) return inner.write(key, record, expected, call)
      losing = false
      return false
    },
  })
  const heard = traces(t, store)
  const { client } = await site(t, handlers, { store })
  await client().get('/set')
  t.deepEqual(
    heard.filter(({ phase }) => phase === 'asyncEnd').map(({ message }) => [message.operation, message.outcome]),
    [
      ['write', 'false'],
      ['read', 'missing'],
      ['write', 'true'],
    ],
  )
  t.false(heard.some(({ phase }) => phase === 'error'))
})

test('a store call is traced from its start to its end, and its failure with a scrubbed error and no outcome', async t => {
  const store = named({
    read: async () => {
      throw Object.assign(new Error('down'), { detail: 'a secret' })
    },
  })
  const heard = traces(t, store)
  const { client } = await site(t, handlers, { store })
  t.is((await client().get('/get', { headers: { cookie: `sid=${'A'.repeat(43)}` } })).status, 503)
  t.deepEqual(
    heard.map(({ phase }) => phase),
    ['start', 'end', 'error', 'asyncStart', 'asyncEnd'],
  )
  const [{ message, now } = { message: undefined, now: undefined }] = heard
  t.true(
    heard.every(one => one.message === message),
    'one object per call, by which subscribers match the phases',
  )
  t.deepEqual(now, { store: store.name, operation: 'read', key: sha256('A'.repeat(43)) })
  t.is(message?.outcome, undefined)
  t.true(isSessionError(message?.error) && message.error.code === 'ERR_SESSION_STORE')
  t.false(inspect(message, { depth: 9, showHidden: true }).includes('secret'))

  const whole = named()
  const good = traces(t, whole)
  const healthy = await site(t, handlers, { store: whole })
  await healthy.client().get('/set')
  t.deepEqual(
    good.map(({ phase }) => phase),
    ['start', 'end', 'asyncStart', 'asyncEnd'],
  )
})

test('neither channel ever carries a record, data or an id', async t => {
  const store = named()
  const heard = traces(t, store)
  const told = events(t, store)
  const { client, sessions } = await site(t, handlers, { store, subject, touchInterval: 0 })
  const one = client()
  const ids: string[] = []
  for (const path of ['/set', '/get', '/rotate', '/get', '/end', '/set']) {
    await one.get(path)
    ids.push(one.jar.get('sid') ?? '')
    await new Promise(resolve => setTimeout(resolve, 2))
  }
  for await (const { key } of sessions.list('ada')) t.is(key.length, 64)
  await sessions.revokeAll('ada')
  await sessions.sweep()
  t.true(heard.length > 40 && told.length >= 5)
  const all = inspect([heard, told], { depth: 9, showHidden: true, maxArrayLength: null })
  // A whole word: keys are hex, in which these three letters may stand by chance.
  t.notRegex(all, /\bada\b/)
  for (const secret of ['a secret', ...ids.filter(Boolean), 'seenAt', 'expiresAt', 'session;']) {
    t.false(all.includes(secret), secret)
  }
  const allowed = new Set(['store', 'operation', 'key', 'outcome', 'result', 'error'])
  for (const { message } of heard) {
    t.true(Object.keys(message).every(name => allowed.has(name)))
    t.is((message as { result?: unknown }).result, undefined)
  }
  for (const event of told) t.deepEqual(Object.keys(event).sort(), ['key', 'store', 'type'])
})

test('created: a session was stored for the first time', async t => {
  const store = named()
  const told = events(t, store)
  const { client, sessions } = await site(t, handlers, { store })
  const one = client()
  await one.get('/get')
  t.deepEqual(told, [])
  await one.get('/set')
  await one.get('/set')
  const key = sha256(one.jar.get('sid') as string)
  t.deepEqual(told.splice(0), [{ type: 'created', store: store.name, key }])
  const made = await sessions.create({ n: 1 } as object)
  t.deepEqual(told, [{ type: 'created', store: store.name, key: made.key }])
})

test('rotated: a session goes on under another id; the key is the one it had', async t => {
  const store = named()
  const told = events(t, store)
  const { client } = await site(
    t,
    {
      ...handlers,
      '/guest': ctx => {
        ctx.session.n = 1
      },
    },
    { store, subject },
  )
  const one = client()
  await one.get('/guest')
  const guest = sha256(one.jar.get('sid') as string)
  await one.get('/set')
  const signedIn = sha256(one.jar.get('sid') as string)
  t.not(signedIn, guest)
  await one.get('/rotate')
  t.deepEqual(
    told.map(({ type, key }) => [type, key]),
    [
      ['created', guest],
      ['rotated', guest],
      ['rotated', signedIn],
    ],
  )
})

test('destroyed: a session was ended, by destroy, null, regenerate, revoke or revokeAll', async t => {
  const store = named()
  const told = events(t, store)
  const { client, sessions } = await site(
    t,
    {
      ...handlers,
      '/null': ctx => {
        ctx.session = null
      },
      '/regenerate': ctx => ctx.session.regenerate(),
    },
    { store, subject },
  )
  for (const path of ['/end', '/null', '/regenerate']) {
    const one = client()
    await one.get('/set')
    const key = sha256(one.jar.get('sid') as string)
    told.length = 0
    await one.get(path)
    t.deepEqual(told, [{ type: 'destroyed', store: store.name, key }], path)
    await one.get(path)
    t.is(told.length, 1, 'there was nothing more to end')
  }
  for (const end of [sessions.revoke, () => sessions.revokeAll('ada')]) {
    const { key } = await sessions.create({ user: 'ada' } as object)
    told.length = 0
    await end(key)
    t.deepEqual(told, [{ type: 'destroyed', store: store.name, key }])
    await end(key)
    t.is(told.length, 1)
  }
})

test('conflict: a conditional write lost and is tried again', async t => {
  const store = named()
  const entered = gate()
  const leave = gate()
  const { client, sessions } = await site(
    t,
    {
      ...handlers,
      '/slow': async ctx => {
        ctx.session.slow = true
        entered.open()
        await leave.promise
      },
    },
    { store },
  )
  // Another process, as far as this one's queue is concerned.
  const other = await site(t, handlers, { store })
  const { id, key } = await sessions.create({ n: 1 } as object)
  const headers = { cookie: `sid=${id}` }
  const told = events(t, store)
  const slow = client().get('/slow', { headers })
  await entered.promise
  await other.client().get('/set', { headers })
  t.deepEqual(told, [])
  leave.open()
  await slow
  t.deepEqual(told, [{ type: 'conflict', store: store.name, key }])
  const { json } = await client().get('/get', { headers })
  t.deepEqual(json, { n: 1, slow: true, secret: 'a secret', user: 'ada' })
})

test('dropped: a session was gone, and what the request changed with it', async t => {
  const store = named()
  const { client, sessions, errors } = await site(
    t,
    {
      ...handlers,
      '/late': async ctx => {
        ctx.session.late = true
        await sessions.revoke(ctx.session.key)
      },
    },
    { store },
  )
  const { id, key } = await sessions.create({ n: 1 } as object)
  const told = events(t, store)
  const headers = { cookie: `sid=${id}` }
  const reply = await client().get('/late', { headers })
  t.is(reply.status, 204)
  t.deepEqual(reply.cookies, [])
  t.deepEqual(
    told.map(event => [event.type, event.key]),
    [
      ['destroyed', key],
      ['conflict', key],
      ['dropped', key],
    ],
  )
  t.deepEqual(errors, [])
})

test('dropped: a session could not be read, and what the request changed is not kept', async t => {
  const store = named({
    read: async () => {
      throw new Error('down')
    },
  })
  const told = events(t, store)
  const { client } = await site(t, handlers, { store, storeFailure: 'anonymous' })
  await client().get('/set', { headers: { cookie: `sid=${'A'.repeat(43)}` } })
  t.deepEqual(told, [{ type: 'dropped', store: store.name, key: sha256('A'.repeat(43)) }])
})

test('rejected: a well-formed id that the store does not know', async t => {
  const store = named()
  const told = events(t, store)
  const { client } = await site(t, handlers, { store })
  for (const cookie of ['', 'sid=', 'sid=x', `sid=${'A'.repeat(42)}`, `sid=${'A'.repeat(44)}`]) {
    await client().get('/look', { headers: { cookie } })
  }
  t.deepEqual(told, [])
  const id = 'A'.repeat(43)
  await client().get('/look', { headers: { cookie: `sid=${id}` } })
  t.deepEqual(told, [{ type: 'rejected', store: store.name, key: sha256(id) }])
})
