import { createHash } from 'node:crypto'
import { subscribe, tracingChannel } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import { encodingsOf, formsFound } from '@koa-session/behaviour/encodings'
import ava from 'ava'
import {
  isSessionError,
  memoryStore,
  type SessionError,
  type SessionOptions,
  type SessionRecord,
  type Store,
  session,
} from 'koa-session-core'
import { type Bag, type Handler, site, watched } from './support/app.js'

// One after the other: the clock and the console belong to all of them, and some keep the thread busy for long.
const test = ava.serial

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const subject = (data: object) => (data as { user?: string }).user

/** A store that keeps all it was ever given, as a dump of its backend would. */
function dumped(inner: Store = memoryStore()): Store & { dump(): Buffer; readonly given: unknown[][] } {
  const given: unknown[][] = []
  const note = <Args extends unknown[], Result>(run: (...args: Args) => Result) => {
    return (...args: Args): Result => {
      given.push(args.map(arg => (typeof arg === 'object' && arg && 'signal' in arg ? 'call' : arg)))
      return run(...args)
    }
  }
  return {
    ...inner,
    given,
    dump: () =>
      Buffer.from(inspect(given, { depth: 9, maxArrayLength: null, maxStringLength: null, breakLength: 1e9 })),
    read: note(inner.read.bind(inner)),
    write: note(inner.write.bind(inner)),
    touch: note(inner.touch.bind(inner)),
    destroy: note(inner.destroy.bind(inner)),
    ...('keys' in inner && { keys: note((inner as Required<typeof memory>).keys.bind(inner)) }),
  }
}
const memory = memoryStore()

test('ids are 256 random bits as 43 base64url characters, independent of Math.random and the clock', async t => {
  const { random } = Math
  const { now } = Date
  const ids: string[] = []
  const store: Store = { ...memoryStore(), write: async () => true }
  const sessions = session({ store })
  Math.random = () => 0.5
  Date.now = () => 1e12
  try {
    for (let n = 0; n < 2_000; n++) ids.push((await sessions.create({ n } as object)).id)
  } finally {
    Math.random = random
    Date.now = now
  }
  t.is(new Set(ids).size, ids.length)
  t.true(ids.every(id => /^[\w-]{43}$/.test(id)))
  const ones = new Array<number>(256).fill(0)
  for (const id of ids) {
    const bytes = Buffer.from(id, 'base64url')
    t.is(bytes.length, 32)
    for (let bit = 0; bit < 256; bit++)
      ones[bit] = (ones[bit] as number) + (((bytes[bit >> 3] as number) >> (bit & 7)) & 1)
  }
  // Six standard deviations: 1 run in a million fails by chance.
  t.true(ones.every(count => Math.abs(count - 1_000) < 6 * Math.sqrt(500)))
})

test('a dump would be searched well: each form of an id and a subject is found in what contains it', t => {
  for (const secret of ['SGVsbG8gdGhpcyBpcyBhbiBpZCBvZiAzMiBieXRlcyE', 'ada@example.com']) {
    for (const [name, form] of encodingsOf(secret)) {
      t.true(form.length >= 11, name)
      t.true(formsFound(Buffer.concat([Buffer.from('"key":"'), form, Buffer.from('"}')]), secret).includes(name), name)
    }
    for (const [before, after] of [
      ['', ''],
      ['x', 'y'],
      ['xy', 'z'],
      ['xyz', 'zzz'],
    ]) {
      const text = `${before}${secret}${after}`
      t.not(formsFound(Buffer.from(Buffer.from(text).toString('base64')), secret).length, 0)
      t.not(formsFound(Buffer.from(Buffer.from(text).toString('base64url')), secret).length, 0)
    }
    t.deepEqual(formsFound(Buffer.from(sha256(secret)), secret), [])
  }
})

test('a store sees only the SHA-256 of an id and of a subject', async t => {
  const store = dumped()
  const { client, sessions } = await site(
    t,
    {
      '/login': async ctx => {
        await ctx.session.regenerate()
        ctx.session.user = 'ada@example.com'
        ctx.flash('welcome')
      },
      '/rotate': ctx => ctx.session.rotateId(),
      '/read': async ctx => ({ n: Object.keys(ctx.session).length, id: ctx.session.id, flash: await ctx.flash() }),
      '/end': ctx => ctx.session.destroy(),
    },
    // The data hold the subject in clear, so that here they do not reach the store as they are.
    { store, subject, encryptionKeys: ['a passphrase of more than 32 characters'], touchInterval: 0 },
  )
  const one = client()
  const ids = new Set<string>()
  for (const path of ['/read', '/login', '/read', '/rotate', '/read', '/login', '/read', '/rotate', '/end', '/login']) {
    await one.get(path)
    const id = one.jar.get('sid')
    if (id) ids.add(id)
    await new Promise(resolve => setTimeout(resolve, 2))
  }
  const made = await sessions.create({ user: 'ada@example.com' } as object)
  ids.add(made.id)
  for await (const { data } of sessions.list('ada@example.com')) t.deepEqual(data, { user: 'ada@example.com' })
  await sessions.revokeAll('ada@example.com')

  t.true(ids.size >= 6)
  const keys = new Set(store.given.map(([key]) => key).filter(key => typeof key === 'string'))
  for (const id of ids) {
    t.true(keys.has(sha256(id)), 'it was looked up by its hash')
    t.deepEqual(formsFound(store.dump(), id), [])
  }
  t.deepEqual(formsFound(store.dump(), 'ada@example.com'), [])
  const subjects = store.given.map(args => (args[1] as SessionRecord | undefined)?.subject).filter(Boolean)
  t.deepEqual(new Set(subjects), new Set([sha256('ada@example.com')]))
  t.deepEqual(
    store.given.filter(([arg]) => typeof arg === 'object').map(([arg]) => arg),
    new Array(store.given.filter(([arg]) => typeof arg === 'object').length).fill({
      subject: sha256('ada@example.com'),
    }),
  )
})

test('ids appear in no log, error, event or inspection', async t => {
  const told: unknown[] = []
  const record = (message: unknown) => void told.push(inspect(message, { depth: 9, showHidden: true }))
  subscribe('koa-session:event', record)
  tracingChannel('koa-session:store').subscribe({
    ...{ start: record, end: record, asyncStart: record, asyncEnd: record, error: record },
  })
  const outputs = [process.stdout, process.stderr]
  const writes = outputs.map(output => output.write)
  for (const output of outputs) {
    output.write = ((chunk: string | Uint8Array, ...rest: never[]) => {
      told.push(Buffer.from(chunk as string).toString())
      const done = rest.at(-1) as unknown
      if (typeof done === 'function') done()
      return true
    }) as typeof output.write
  }
  t.teardown(() =>
    outputs.forEach((output, index) => {
      output.write = writes[index] as typeof output.write
    }),
  )

  const store = watched(memoryStore())
  const ids: string[] = []
  let failing = false
  store.before = operation => {
    if (failing && operation !== 'read') throw Object.assign(new Error('down'), { command: { args: ids } })
  }
  const { client, sessions } = await site(
    t,
    {
      '/look': async ctx => {
        ids.push(ctx.session.id)
        for (const one of [ctx, ctx.session, sessions, ctx.app, ctx.state, store]) {
          console.log(one)
          console.error('%s %j %o', one, Object.keys(one), one)
          told.push(inspect(one, { depth: 4, showHidden: true, getters: true }))
          told.push(inspect(one, { depth: 4, showHidden: true, getters: true, customInspect: false }))
          told.push(String(one))
        }
        told.push(JSON.stringify(ctx), JSON.stringify(ctx.session), inspect(Object.entries(ctx.session)))
        const members = [ctx.session.rotateId(), ctx.session.save(), ctx.session.update(() => {})]
        told.push(inspect(members, { depth: 9, showHidden: true }))
        await Promise.allSettled(members)
      },
      '/set': ctx => {
        ids.push(ctx.session.id)
        ctx.session.user = 'me'
      },
      '/bad': ctx => {
        ids.push(ctx.session.id)
        ctx.session.bad = () => {}
      },
      '/big': ctx => {
        ids.push(ctx.session.id)
        ctx.session.big = 'x'.repeat(2_000)
      },
      '/rotate': async ctx => {
        await ctx.session.rotateId()
        ids.push(ctx.session.id)
      },
      '/login': async ctx => {
        await ctx.session.regenerate()
        ctx.session.user = 'you'
        ids.push(ctx.session.id)
      },
      '/sent': async ctx => {
        ids.push(ctx.session.id)
        ctx.session.user = 'me'
        ctx.res.flushHeaders()
        told.push(inspect(await ctx.session.save().catch((error: unknown) => error)))
      },
      '/end': ctx => ctx.session.destroy(),
    },
    // With no listener for errors Koa prints them.
    { store, subject, maxBytes: 1_000, before: app => app.removeAllListeners('error') },
  )
  await client().get('/look')
  for (failing of [false, true]) {
    const one = client()
    failing = false
    for (const path of ['/set', '/rotate', '/login']) await one.get(path)
    failing = true
    for (const path of ['/set', '/rotate', '/login', '/bad', '/big', '/sent', '/end'])
      await one.get(path).catch(() => {})
    failing = false
    await one.get('/set')
    const late = one.fork()
    for (const path of ['/login', '/end', '/set']) await one.get(path)
    for (const path of ['/rotate', '/set', '/bad', '/big', '/end']) await late.get(path)
    await client()
      .get('/sent')
      .catch(() => {})
    await client().get('/set', { headers: { cookie: `sid=${'A'.repeat(43)}` } })
  }
  const wrongKey = await t.throwsAsync(sessions.revoke(ids[0] as string), { instanceOf: TypeError })
  const wrongExcept = await t.throwsAsync(sessions.revokeAll('me', { except: ids[0] as string }), {
    instanceOf: TypeError,
  })
  told.push(wrongKey?.stack, wrongExcept?.stack)

  for (const [index, output] of outputs.entries()) output.write = writes[index] as typeof output.write
  const all = told.join('\n')
  t.true(told.length > 200 && ids.length > 20)
  for (const word of ['write failed', 'cannot hold a function', 'than maxBytes', 'cannot be delivered']) {
    t.true(all.includes(word), word)
  }
  for (const word of ["'rotated'", "'dropped'", "'rejected'"]) t.true(all.includes(word), word)
  t.true(all.includes(sha256(ids[3] as string)), 'keys do appear')
  const dump = Buffer.from(all)
  for (const id of ids) t.deepEqual(formsFound(dump, id), [])
})

test('inspection of a session shows its data, never its id', async t => {
  const shown: string[] = []
  const { client } = await site(t, ctx => {
    const bag = ctx.session
    bag.user = 'me'
    for (const options of [{}, { showHidden: true }, { getters: true }, { showHidden: true, getters: true }] as const) {
      for (const customInspect of [true, false]) shown.push(inspect(bag, { ...options, customInspect, depth: null }))
    }
    shown.push(inspect({ bag }), JSON.stringify(bag), JSON.stringify(structuredClone(bag)), inspect({ ...bag }))
    return bag.id
  })
  const id = (await client().get('/')).json
  for (const text of shown) {
    t.false(text.includes(id), text)
    t.true(text.includes('me'), text)
  }
})

test('the cause of an error is a scrubbed copy: name, code and message', async t => {
  const secrets = {
    command: { args: ['secret'] },
    sql: 'INSERT secret',
    detail: 'Key (data)=(secret)',
    errors: ['secret'],
  }
  class RedisError extends Error {
    override name = 'ReplyError'
    constructor() {
      super('the connection was lost', { cause: Object.assign(new Error('closed'), { ...secrets, errors: [] }) })
      Object.assign(this, { code: 'ECONNRESET', ...secrets })
      for (const name of ['hidden', Symbol('extra')]) Object.defineProperty(this, name, { value: 'secret' })
    }
  }
  const numbered = Object.assign(new Error('duplicate'), { code: 11_000, ...secrets })
  const odd = Object.assign(new Error('odd'), { name: ['secret'], code: { secret: 1 } })
  const causes: [unknown, object][] = [
    [new RedisError(), { name: 'ReplyError', code: 'ECONNRESET', message: 'the connection was lost' }],
    [numbered, { name: 'Error', code: 11_000, message: 'duplicate' }],
    [odd, { name: 'Error', code: undefined, message: 'odd' }],
    // Node's own has no message; those of its errors stand for it.
    [
      Object.assign(new AggregateError([new Error('refused')]), { code: 'ECONNREFUSED', secret: 'secret' }),
      { code: 'ECONNREFUSED', message: 'refused' },
    ],
    ['secret', { name: 'Error', message: 'the store rejected with a value that is no Error' }],
    [
      { message: 5, secret: 'secret' },
      { name: 'Error', message: 'no reason was given' },
    ],
  ]
  for (const [cause, expected] of causes) {
    const heard: SessionError[] = []
    const inner = memoryStore()
    const store: Store = { ...inner, read: () => Promise.reject(cause) }
    const { client, errors } = await site(t, ctx => void ctx.session, {
      store,
      storeFailure: 'anonymous',
      onError: error => void heard.push(error as SessionError),
    })
    await client().get('/', { headers: { cookie: `sid=${'A'.repeat(43)}` } })
    t.is(heard.length, 1)
    t.deepEqual(errors, [])
    const [error] = heard
    t.true(isSessionError(error))
    t.is(error?.code, 'ERR_SESSION_STORE')
    const copy = error?.cause as Error
    t.true(copy instanceof Error)
    t.not(copy, cause)
    t.like(copy, expected)
    const left = Reflect.ownKeys(copy).filter(name => !['stack', 'message', 'name', 'code'].includes(name as string))
    t.deepEqual(left, [])
    t.false(inspect(error, { showHidden: true, depth: 9 }).includes('secret'))
    t.false(`${error?.stack}${copy.stack}`.includes('secret'))
  }
})

test('ERR_SESSION_DECODE has no message of its cause, which would quote the text', async t => {
  const codecs: SessionOptions['codec'][] = [
    undefined,
    {
      stringify: JSON.stringify,
      parse(text) {
        throw new Error(`cannot parse ${text}`)
      },
    },
  ]
  for (const codec of codecs) {
    for (const data of ['1;1;session;0\n{"password":"hunter2"', '{"password":"hunter2"}', '1;1;session;1\n9:hunter2']) {
      const store = memoryStore()
      const id = 'B'.repeat(43)
      const now = Date.now()
      const state = { data, expiresAt: now + 60_000, seenAt: now, version: 'v' }
      await store.write(sha256(id), state, null)
      const { client, errors } = await site(t, ctx => ({ ...ctx.session }), { store, ...(codec && { codec }) })
      const reply = await client().get('/', { headers: { cookie: `sid=${id}` } })
      t.deepEqual(reply.json, {}, 'the request gets an empty session')
      t.deepEqual(
        errors.map(({ code }) => code),
        ['ERR_SESSION_DECODE'],
        data,
      )
      t.is(errors[0]?.cause, undefined)
      t.false(inspect(errors[0], { showHidden: true, depth: 9 }).includes('hunter2'))
      t.like(await store.read(sha256(id)), { data }, 'and the record is as it was')
    }
  }
})

function nested(depth: number, wrap: (inner: unknown) => unknown): unknown {
  let value: unknown = 1
  for (let level = 0; level < depth; level++) value = wrap(value)
  return value
}

class Cart {
  items = []
}

/** Values that a session cannot hold: how they get in, the code of the error, and the part of its message. */
const refused: Record<string, [(bag: Bag) => unknown, string, RegExp]> = {
  'a function': [bag => (bag.cart = { total: () => 5 }), 'ERR_SESSION_ENCODE', /a function.*cart\.total/],
  'a symbol': [bag => (bag.cart = [Symbol('x')]), 'ERR_SESSION_ENCODE', /a symbol.*cart\[0\]/],
  'an instance of a class': [bag => (bag.cart = new Cart()), 'ERR_SESSION_ENCODE', /an instance of Cart.*cart/],
  'a Promise': [bag => (bag.cart = Promise.resolve()), 'ERR_SESSION_ENCODE', /an instance of Promise.*cart/],
  'an Error': [
    bag => (bag.cart = { error: new Error('x') }),
    'ERR_SESSION_ENCODE',
    /an instance of Error.*cart\.error/,
  ],
  'a getter that throws': [
    bag =>
      Object.defineProperty(bag, 'cart', {
        enumerable: true,
        configurable: true,
        get() {
          throw new Error('not now')
        },
      }),
    'ERR_SESSION_ENCODE',
    /threw while it was read/,
  ],
  'a getter that throws, further down': [
    bag => {
      bag.cart = {
        get total() {
          throw new Error('not now')
        },
      }
    },
    'ERR_SESSION_ENCODE',
    /a getter or setter.*cart\.total/,
  ],
  '10 MB of text': [bag => (bag.cart = 'x'.repeat(10_000_000)), 'ERR_SESSION_TOO_LARGE', /10\d{6} bytes.*maxBytes/],
  '10 MB of bytes': [bag => (bag.cart = Buffer.alloc(10_000_000)), 'ERR_SESSION_TOO_LARGE', /bytes.*maxBytes/],
  '5,000 levels of objects': [
    bag => (bag.cart = nested(5_000, next => ({ next }))),
    'ERR_SESSION_ENCODE',
    /1000 levels/,
  ],
  '5,000 levels of arrays': [bag => (bag.cart = nested(5_000, next => [next])), 'ERR_SESSION_ENCODE', /1000 levels/],
  '5,000 levels of Maps': [
    bag => (bag.cart = nested(5_000, next => new Map([[1, next]]))),
    'ERR_SESSION_ENCODE',
    /1000 levels/,
  ],
}

for (const [what, [put, code, message]] of Object.entries(refused)) {
  test(`a session with ${what} is a clear error, and the stored record is left as it was`, async t => {
    const store = watched(memoryStore())
    let caught: unknown
    const handlers: Record<string, Handler> = {
      '/set': ctx => {
        ctx.session.n = 1
      },
      '/spoil': ctx => {
        ctx.session.n = 2
        put(ctx.session)
      },
      '/save': async ctx => {
        put(ctx.session)
        caught = await ctx.session.save().catch((error: unknown) => error)
        Reflect.deleteProperty(ctx.session, 'cart')
      },
      '/update': async ctx => {
        caught = await ctx.session
          .update(data => {
            const bag = data as Bag
            bag.n = 3
            put(bag)
          })
          .catch((error: unknown) => error)
        return ctx.session.n
      },
      '/rotate': async ctx => {
        put(ctx.session)
        await ctx.session.rotateId()
      },
      '/get': ctx => ({ ...ctx.session }),
    }
    const { client, errors, sessions } = await site(t, handlers, { store })
    const one = client()
    await one.get('/set')
    const id = one.jar.get('sid') as string
    const before = await store.read(sha256(id))
    for (const path of ['/spoil', '/rotate']) {
      store.calls.length = 0
      const reply = await one.get(path)
      t.is(reply.status, 500)
      t.is(reply.text, 'Internal Server Error')
      t.deepEqual(reply.cookies, [])
      t.deepEqual(store.calls, ['read'], 'no write was tried')
      t.is(errors.at(-1)?.code, code)
      t.regex(errors.at(-1)?.message ?? '', message)
    }
    for (const path of ['/save', '/update']) {
      store.calls.length = 0
      const reply = await one.get(path)
      t.true(isSessionError(caught) && caught.code === code, inspect(caught))
      t.true(reply.status < 300)
      if (path === '/update') t.is(reply.json, 1, 'what the function changed is undone')
      t.deepEqual(store.calls, ['read'])
    }
    t.deepEqual(await store.read(sha256(id)), before)
    t.deepEqual((await one.get('/get')).json, { n: 1 })
    t.is((await one.get('/set')).status, 204, 'the session goes on working')

    store.calls.length = 0
    const stranger = client()
    t.is((await stranger.get('/spoil')).status, 500)
    t.is(stranger.jar.size, 0)
    if (what !== 'a getter that throws') {
      const data = {}
      put(data as Bag)
      const error = await t.throwsAsync(sessions.create(data))
      t.true(isSessionError(error) && error.code === code)
    }
    t.deepEqual(store.calls, [], 'before any store call')
  })
}

test('a flash message that cannot be stored fails in the line that queues it', async t => {
  const { client } = await site(t, {
    '/flash': ctx => {
      const error = t.throws(() => ctx.flash('type', () => {}))
      t.true(isSessionError(error) && error.code === 'ERR_SESSION_ENCODE')
      ctx.flash('kept')
    },
    '/take': ctx => ctx.flash(),
  })
  const one = client()
  t.is((await one.get('/flash')).status, 204)
  t.deepEqual((await one.get('/take')).json, ['kept'])
})

test('maxBytes bounds one encoded session in bytes, flash messages included', async t => {
  const store = dumped()
  const handlers: Record<string, Handler> = {
    '/set': ctx => {
      ctx.session.text = 'ü'.repeat(100)
    },
    '/flash': ctx => ctx.flash('€'.repeat(200)),
  }
  const free = await site(t, handlers, { store })
  await free.client().get('/set')
  const bytes = Buffer.byteLength((store.given.at(-1)?.[1] as SessionRecord).data)
  t.true(bytes > 200)
  const exact = await site(t, handlers, { maxBytes: bytes })
  const one = exact.client()
  t.is((await one.get('/set')).status, 204)
  t.is((await one.get('/flash')).status, 500)
  t.deepEqual(
    exact.errors.map(({ code }) => code),
    ['ERR_SESSION_TOO_LARGE'],
  )
  const less = await site(t, handlers, { maxBytes: bytes - 1 })
  t.is((await less.client().get('/set')).status, 500)
  t.is(less.errors[0]?.message, `the encoded session has ${bytes} bytes, more than maxBytes (${bytes - 1}) allows`)
})

test('session data with cycles, BigInt, Map and Date come back as they were', async t => {
  const make = () => {
    const cart: Record<string, unknown> = {
      total: 12_345_678_901_234_567_890n,
      items: new Map<unknown, unknown>([
        ['a', new Set([1, -0, Number.NaN])],
        [{ key: true }, undefined],
      ]),
      at: new Date(1e12),
      site: new URL('https://example.com/a?b#c'),
      like: /^a+$/giu,
      bytes: Buffer.from('bytes'),
      floats: new Float64Array([1.5, -0]),
      holes: [1, , 3],
    }
    cart.self = cart
    return { cart, twin: cart, none: undefined, ['__proto__']: { admin: true } }
  }
  let seen: object | undefined
  const { client } = await site(t, {
    '/set': ctx => {
      ctx.session = make()
    },
    '/get': ctx => {
      seen = { ...ctx.session }
      return 'admin' in ctx.session
    },
  })
  const one = client()
  t.is((await one.get('/set')).status, 204)
  t.is((await one.get('/get')).json, false)
  t.deepEqual(seen, make())
  const { cart, twin } = seen as ReturnType<typeof make>
  t.is(cart, twin)
  t.is(cart.self, cart)
  t.false('admin' in {})
})
