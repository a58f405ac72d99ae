import { Console } from 'node:console'
import { createHash } from 'node:crypto'
import { Writable } from 'node:stream'
import { inspect, types } from 'node:util'
import { runInNewContext } from 'node:vm'
import { memoryStore, session } from 'koa-session-core'
import { type Ctx, type Handler, site, watched } from '../support/app.js'
import { test } from '../support/test.js'

const members = [
  ...['id', 'key', 'isNew', 'createdAt', 'expiresAt', 'maxAge'],
  ...['clear', 'rotateId', 'regenerate', 'destroy', 'save', 'update'],
]
/** Keys that mean something to JavaScript, and nothing to a session. */
const oddKeys = [
  ...[
    '__proto__',
    'constructor',
    '_x',
    'then',
    'toString',
    'toJSON',
    'hasOwnProperty',
    'valueOf',
    'prototype',
    '',
    '0',
  ],
  ...['passport', 'flash', 'secret', 'grant', 'messages', 'returnTo', 'cookie', 'inspect', '#entry', 'clear '],
]
const odd = Object.fromEntries(oddKeys.map((key, n) => [key, { n }]))
const data = (ctx: Ctx) => ({ ...ctx.session })
const thrown = (run: () => unknown): unknown => {
  try {
    run()
  } catch (error) {
    return error
  }
  return undefined
}

test('User data are plain own properties', async t => {
  const { client } = await site(t, {
    '/set': ctx => {
      ctx.session.user = { name: 'Ada' }
      return Object.getOwnPropertyDescriptor(ctx.session, 'user')
    },
    '/get': ctx => [Object.getOwnPropertyDescriptor(ctx.session, 'user'), Object.keys(ctx.session)],
  })
  const browser = client()
  const plain = { value: { name: 'Ada' }, writable: true, enumerable: true, configurable: true }
  t.deepEqual((await browser.get('/set')).json, plain)
  t.deepEqual((await browser.get('/get')).json, [plain, ['user']])
})

test('Nested mutation counts as a change', async t => {
  const { client } = await site(t, {
    '/set': ctx => {
      ctx.session.cart = { items: [{ n: 1 }], tags: new Set(['a']) }
    },
    '/nested': ctx => {
      ctx.session.cart.items[0].n++
      ctx.session.cart.tags.add('b')
    },
    '/delete': ctx => delete ctx.session.cart.items,
    '/get': ctx => ({ ...ctx.session.cart, tags: [...ctx.session.cart.tags] }),
  })
  const browser = client()
  await browser.get('/set')
  await browser.get('/nested')
  t.deepEqual((await browser.get('/get')).json, { items: [{ n: 2 }], tags: ['a', 'b'] })
  await browser.get('/delete')
  t.deepEqual((await browser.get('/get')).json, { tags: ['a', 'b'] })
})

test('The members live on the prototype and are not enumerable', async t => {
  const { client } = await site(t, ctx => {
    ctx.session.a = 1
    const seen = []
    for (const name in ctx.session) seen.push(name)
    const prototype = Object.getPrototypeOf(ctx.session)
    return { seen, own: Reflect.ownKeys(ctx.session), members: members.filter(name => Object.hasOwn(prototype, name)) }
  })
  t.deepEqual((await client().get('/')).json, { seen: ['a'], own: ['a'], members })
})

test('Assigning a member is a TypeError naming it', async t => {
  t.plan(5 * (members.length - 1) + 2)
  const { client } = await site(t, {
    '/set': ctx => {
      ctx.session.a = 1
    },
    '/try': async ctx => {
      for (const name of members.filter(member => member !== 'maxAge')) {
        const refusal = { instanceOf: TypeError, message: new RegExp(`^session\\.${name} `) }
        const value: unknown = Reflect.get(ctx.session, name)
        t.throws(() => Object.assign(ctx.session, { [name]: 1 }), refusal)
        t.throws(() => {
          ctx.session = { [name]: 1, b: 2 }
        }, refusal)
        const updating = ctx.session.update(bag => Object.assign(bag, { b: 2, [name]: 1 }))
        await t.throwsAsync(updating, refusal)
        t.is(Reflect.get(ctx.session, name), value)
        t.deepEqual(data(ctx), { a: 1 })
      }
    },
    '/get': data,
  })
  const browser = client()
  await browser.get('/set')
  t.is((await browser.get('/try')).status, 204)
  t.deepEqual((await browser.get('/get')).json, { a: 1 })
})

test('__proto__, constructor, _x, then and the like are ordinary keys', async t => {
  const { client } = await site(t, {
    '/assign': ctx => {
      for (const key of oddKeys) ctx.session[key] = odd[key]
    },
    '/replace': ctx => {
      ctx.session = odd
    },
    '/update': ctx => ctx.session.update(bag => void Object.assign(bag, odd)),
    '/get': ctx => oddKeys.filter(key => Object.hasOwn(ctx.session, key) && ctx.session[key].n === odd[key]?.n),
    '/rotate': ctx => ctx.session.rotateId(),
    '/delete': ctx => {
      for (const key of oddKeys) delete ctx.session[key]
      return [Object.keys(ctx.session), typeof ctx.session.toString, ctx.session.constructor, ctx.session.then]
    },
  })
  for (const way of ['/assign', '/replace', '/update']) {
    const browser = client()
    t.true((await browser.get(way)).status < 300, way)
    t.deepEqual((await browser.get('/get')).json, oddKeys, way)
    await browser.get('/rotate')
    t.deepEqual((await browser.get('/get')).json, oddKeys, way)
    t.deepEqual((await browser.get('/delete')).json, [[], 'function', null, null], way)
    t.deepEqual((await browser.get('/get')).json, [], way)
  }
  t.is((Object.prototype as { n?: unknown }).n, undefined)
})

test('Keys like __proto__ survive a lost race', async t => {
  const inner = memoryStore()
  const store = watched(inner)
  const handlers: Record<string, Handler> = {
    '/set': ctx => {
      ctx.session = { mine: 0, ...odd }
    },
    '/mine': ctx => {
      ctx.session.mine = 1
    },
    '/theirs': ctx => {
      for (const key of oddKeys) ctx.session[key] = { n: 'theirs' }
    },
    '/get': data,
  }
  const here = await site(t, handlers, { store })
  const elsewhere = await site(t, handlers, { store: inner })
  const browser = here.client()
  await browser.get('/set')
  store.before = async operation => {
    if (operation !== 'write') return
    store.before = undefined
    await browser.fork(elsewhere.url).get('/theirs')
  }
  await browser.get('/mine')
  const after = (await browser.get('/get')).json
  t.is(after.mine, 1)
  t.deepEqual(
    oddKeys.filter(key => Object.hasOwn(after, key) && after[key].n === 'theirs'),
    oddKeys,
  )
})

test('It is a plain object, no Proxy', async t => {
  const { client } = await site(t, ctx => {
    ctx.session = { a: { b: 1 } }
    t.false(types.isProxy(ctx.session))
    t.is(typeof ctx.session, 'object')
    t.true('session' in ctx)
    t.is(ctx.session, ctx.session)
    t.is(Object.prototype.toString.call(ctx.session), '[object Object]')
    t.deepEqual(structuredClone(ctx.session) as object, { a: { b: 1 } })
    t.is(`${ctx.session}`, '[object Object]')
    t.true(ctx.session.hasOwnProperty('a'))
    return 'seen'
  })
  t.is((await client().get('/')).json, 'seen')
})

test('JSON.stringify and inspection show the data, never the id', async t => {
  t.plan(18)
  const thorough = { depth: 4, showHidden: true, getters: true }
  const look = ({ session: bag }: Ctx) => {
    t.is(JSON.stringify(bag), '{"user":{"name":"Ada"}}')
    t.is(inspect(bag), "{ user: { name: 'Ada' } }")
    t.is(inspect({ ctx: { session: bag } }, { depth: 9 }), "{\n  ctx: { session: { user: { name: 'Ada' } } }\n}")
    let printed = ''
    const stream = new Writable({
      write(chunk, _, done) {
        printed += chunk
        done()
      },
    })
    new Console(stream).log('%o %O %j', bag, bag, bag, bag)
    t.is(printed.match(/Ada/g)?.length, 4)
    t.false(printed.includes(bag.id))
    const shown = [thorough, { ...thorough, customInspect: false }].map(how =>
      inspect([bag, bag.save, bag.save()], how),
    )
    t.false(shown.some(text => text.includes(bag.id)))
  }
  const { client } = await site(t, {
    '/set': ctx => {
      ctx.session.user = { name: 'Ada' }
      // Here, while no request has the id in its Cookie header, the whole context can be searched.
      const shown = [{ customInspect: true }, { customInspect: false }].map(how =>
        inspect(ctx, { ...thorough, ...how }),
      )
      t.true(shown[1]?.includes('Ada'))
      t.is(JSON.stringify(ctx).indexOf(ctx.session.id), -1)
      t.deepEqual(
        shown.map(text => text.indexOf(ctx.session.id)),
        [-1, -1],
      )
      ctx.flash('queued')
      t.false(inspect(ctx, { ...thorough, customInspect: false }).includes(ctx.session.id))
      t.false(inspect(ctx.app, { ...thorough, customInspect: false }).includes(ctx.session.id))
      look(ctx)
    },
    '/get': look,
  })
  const browser = client()
  await browser.get('/set')
  t.is((await browser.get('/get')).status, 204)
})

test('id is the secret in the cookie: 32 random bytes, 43 base64url characters. Reading it stores nothing', async t => {
  const store = watched(memoryStore())
  const { client } = await site(
    t,
    {
      '/id': ctx => ctx.session.id,
      '/set': ctx => {
        ctx.session.a = 1
        return ctx.session.id
      },
    },
    { store },
  )
  const browser = client()
  const read = await browser.get('/id')
  t.deepEqual([read.cookies, store.calls], [[], []])
  const id: string = (await browser.get('/set')).json
  t.regex(id, /^[\w-]{43}$/)
  t.is(Buffer.from(id, 'base64url').toString('base64url'), id)
  t.not(id, read.json)
  t.is(browser.jar.get('sid'), id)
  t.is((await browser.get('/id')).json, id)
})

test('key is the SHA-256 of the id, 64 lower-case hex characters', async t => {
  const { client } = await site(t, ctx => {
    ctx.session.a = 1
    return [ctx.session.id, ctx.session.key]
  })
  const [id, key] = (await client().get('/')).json
  t.is(key, createHash('sha256').update(id).digest('hex'))
})

test('isNew is true until first saved', async t => {
  const { client } = await site(t, async ctx => {
    const before = ctx.session.isNew
    ctx.session.n = 1
    const changed = ctx.session.isNew
    await ctx.session.save()
    return [before, changed, ctx.session.isNew]
  })
  const browser = client()
  t.deepEqual((await browser.get('/')).json, [true, true, false])
  t.deepEqual((await browser.get('/')).json, [false, false, false])
})

test('createdAt and expiresAt are epoch milliseconds', async t => {
  const { client } = await site(
    t,
    async ctx => {
      ctx.session.n = Math.random()
      await ctx.session.save()
      return [ctx.session.createdAt, ctx.session.expiresAt]
    },
    { idleTimeout: 60_000, absoluteTimeout: 600_000 },
  )
  const browser = client()
  const start = Date.now()
  const [createdAt, expiresAt] = (await browser.get('/')).json
  t.true(createdAt >= start && createdAt <= Date.now())
  t.true(expiresAt >= createdAt + 60_000 && expiresAt <= Date.now() + 60_000)
  const later = (await browser.get('/')).json
  t.is(later[0], createdAt)
  t.true(later[1] >= expiresAt)
})

test("maxAge is 'session' or milliseconds; settable", async t => {
  const { client } = await site(t, {
    '/set': ctx => {
      const before = ctx.session.maxAge
      ctx.session.maxAge = 90_000
      ctx.session.a = 1
      return before
    },
    '/wrong': ctx =>
      [-1, 0, 1.5, Number.NaN, '90000', null, undefined, new Date(), Number.POSITIVE_INFINITY].map(wrong => {
        const error = thrown(() => Object.assign(ctx.session, { maxAge: wrong })) as TypeError
        return error instanceof TypeError && error.message.includes('session.maxAge')
      }),
    '/get': ctx => [ctx.session.maxAge, { ...ctx.session }],
  })
  const browser = client()
  const set = await browser.get('/set')
  t.is(set.json, 'session')
  t.regex(set.cookies.join(), /; Max-Age=(89|90); /)
  t.deepEqual((await browser.get('/wrong')).json, Array(9).fill(true))
  t.deepEqual((await browser.get('/get')).json, [90_000, { a: 1 }])
})

test('clear() removes all data and keeps the session', async t => {
  const { client } = await site(t, {
    '/set': ctx => {
      ctx.session = { a: 1, ['__proto__']: 2, b: [] }
      return ctx.session.id
    },
    '/clear': ctx => {
      const before = ctx.session
      ctx.session.clear()
      return [before === ctx.session, { ...ctx.session }]
    },
    '/get': ctx => [ctx.session.id, ctx.session.isNew, { ...ctx.session }],
  })
  const browser = client()
  const id = (await browser.get('/set')).json
  const cleared = await browser.get('/clear')
  t.deepEqual([cleared.json, cleared.cookies], [[true, {}], []])
  t.deepEqual((await browser.get('/get')).json, [id, false, {}])
})

test('ctx.session = { … } replaces the data, same session', async t => {
  const { client } = await site(t, {
    '/set': ctx => {
      ctx.session = { a: 1, b: { c: 2 } }
      return ctx.session.id
    },
    '/replace': ctx => {
      const before = ctx.session
      ctx.session = { b: ctx.session.b, d: 3 }
      return before === ctx.session
    },
    '/itself': ctx => {
      ctx.session = ctx.session
    },
    '/get': ctx => [ctx.session.id, { ...ctx.session }],
  })
  const browser = client()
  const id = (await browser.get('/set')).json
  t.true((await browser.get('/replace')).json)
  await browser.get('/itself')
  t.deepEqual((await browser.get('/get')).json, [id, { b: { c: 2 }, d: 3 }])
})

test('ctx.session = null destroys at commit, and ctx.session is never null', async t => {
  const store = watched(memoryStore())
  const { client } = await site(
    t,
    {
      '/set': ctx => {
        ctx.session.a = 1
      },
      '/null': ctx => {
        store.calls.length = 0
        ctx.session = null
        return [typeof ctx.session, { ...ctx.session }, ctx.session.isNew, [...store.calls]]
      },
      '/get': data,
    },
    { store },
  )
  const browser = client()
  await browser.get('/set')
  const stolen = browser.fork()
  const ended = await browser.get('/null')
  t.deepEqual(ended.json, ['object', {}, true, []])
  t.deepEqual(store.calls, ['write', 'destroy'])
  t.regex(ended.cookies.join(), /^sid=; Path=\/; Max-Age=0; /)
  t.deepEqual((await stolen.get('/get')).json, {})
})

test('Setting ctx.session to anything but an object or null is a TypeError and changes nothing', async t => {
  const { client } = await site(t, {
    '/set': ctx => {
      ctx.session.a = 1
    },
    '/try': ctx =>
      [undefined, 1, 'text', true, [1], () => {}].map(wrong => {
        const error = thrown(() => Object.assign(ctx, { session: wrong }))
        return error instanceof TypeError && error.message.startsWith('ctx.session ')
      }),
    '/get': data,
  })
  const browser = client()
  await browser.get('/set')
  t.deepEqual((await browser.get('/try')).json, Array(6).fill(true))
  t.deepEqual((await browser.get('/get')).json, { a: 1 })
})

test('Setting ctx.session to an object that is more than its properties is a TypeError that names its kind', async t => {
  class Cart {}
  const wrong: [object, string][] = [
    [new Map([['a', 2]]), 'a Map'],
    [new Set(), 'a Set'],
    [new Date(), 'a Date'],
    [Buffer.from('a'), 'a Buffer'],
    [new Cart(), 'a Cart'],
    [Promise.resolve({ a: 2 }), 'a Promise, which must be awaited first'],
    [Object.create({ a: 2 }), 'an object with a prototype of its own'],
    [Object.create(new Cart()), 'a Cart'],
  ]
  const fine = [runInNewContext('({ a: 2 })'), Object.assign(Object.create(null), { a: 2 })]
  const { client } = await site(t, {
    '/set': ctx => {
      ctx.session.a = 1
    },
    '/try': ctx => wrong.map(([value]) => (thrown(() => Object.assign(ctx, { session: value })) as Error).message),
    '/get': data,
    '/fine': ctx => fine.map(value => (Object.assign(ctx, { session: value }), { ...ctx.session })),
  })
  const browser = client()
  await browser.get('/set')
  const messages = wrong.map(
    ([, kind]) => `ctx.session must be set to a plain object, or to null to end it, got ${kind}`,
  )
  t.deepEqual((await browser.get('/try')).json, messages)
  t.deepEqual((await browser.get('/get')).json, { a: 1 })
  t.deepEqual((await browser.get('/fine')).json, [{ a: 2 }, { a: 2 }])
})

const endings: Record<string, (ctx: Ctx) => unknown> = {
  '/regenerate': ctx => ctx.session.regenerate(),
  '/destroy': ctx => ctx.session.destroy(),
  '/null': ctx => {
    ctx.session = null
  },
}

test('Setting a property of a session that has ended is a TypeError that says where the new one is', async t => {
  for (const [path, end] of Object.entries(endings)) {
    const { client } = await site(t, {
      [path]: async ctx => {
        const previous = ctx.session
        previous.old = [1]
        await end(ctx)
        const errors = [
          thrown(() => (previous.user = 'ada')),
          thrown(() => (previous.old = 'ada')),
          thrown(() => (previous.constructor = 'ada' as never)),
        ]
        const { id, isNew } = previous
        return [
          errors.map(error => (error as Error).message),
          { ...previous },
          typeof id,
          isNew,
          inspect(previous),
          'new' in previous,
        ]
      },
    })
    const { json } = await client().get(path)
    const message = (name: string) =>
      `session.${name} cannot be changed: this session has ended. ctx.session is the one that took its place`
    const messages = [message('user'), message('old'), message('constructor')]
    t.deepEqual(json, [messages, { old: [1] }, 'string', true, '{ old: [ 1 ] }', false], path)
  }
})

test('After regenerate, destroy and null the previous object keeps its data and is frozen', async t => {
  for (const [path, end] of Object.entries(endings)) {
    const { client } = await site(t, {
      '/set': ctx => {
        ctx.session.a = { b: 1 }
      },
      [path]: async ctx => {
        const previous = ctx.session
        await end(ctx)
        const error = thrown(() => {
          previous.c = 1
        })
        // As passport does for keepSessionInfo.
        for (const name in previous) ctx.session[name] = previous[name]
        return [previous !== ctx.session, { ...previous }, Object.isFrozen(previous), error instanceof TypeError]
      },
      '/get': data,
    })
    const browser = client()
    await browser.get('/set')
    const ended = await browser.get(path)
    t.deepEqual(ended.json, [true, { a: { b: 1 } }, true, true], path)
    t.deepEqual((await browser.get('/get')).json, { a: { b: 1 } }, path)
  }
})

test('ctx.state.session is never set, ctx.flash is assignable and configurable', async t => {
  const { client } = await site(t, ctx => {
    ctx.session.a = 1
    ctx.flash('one')
    const described = Object.getOwnPropertyDescriptor(ctx, 'flash')
    const own = () => 'mine'
    Object.assign(ctx, { flash: own })
    const assigned = (ctx.flash as unknown) === own
    Object.defineProperty(ctx, 'flash', { value: 1 })
    return ['session' in ctx.state, described?.configurable, assigned, ctx.flash]
  })
  t.deepEqual((await client().get('/')).json, [false, true, true, 1])
})

test('Mounting two on one request is a TypeError', async t => {
  for (const second of [session(), 'the same'] as const) {
    const { client, errors } = await site(t, () => 'served', {
      wrap: (app, sessions) => app.middleware.splice(1, 0, second === 'the same' ? sessions : second),
    })
    t.is((await client().get('/')).status, 500)
    t.deepEqual(
      errors.map(error => [error.constructor, /twice/.test(error.message)]),
      [[TypeError, true]],
    )
  }
})
