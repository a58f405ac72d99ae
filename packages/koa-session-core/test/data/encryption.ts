import { randomBytes } from 'node:crypto'
import ava from 'ava'
import { isSessionError, memoryStore, type SessionOptions, type SessionRecord, type Store } from 'koa-session-core'
import { type Handler, site } from '../support/app.js'

// One after the other: making a key of a passphrase keeps the thread, and with it every other test, busy for long.
const test = ava.serial

const handlers: Record<string, Handler> = {
  '/set': ctx => {
    ctx.session.card = 'a secret number'
    ctx.session.n = (ctx.session.n ?? 0) + 1
  },
  '/get': ctx => ({ ...ctx.session }),
  '/flash': ctx => ctx.flash('a secret message'),
  '/take': async ctx => ctx.flash(),
  '/state': ctx => ({ isNew: ctx.session.isNew, id: ctx.session.id }),
}

const passphrase = 'correct horse battery staple, twice'
const bytes = randomBytes(32)
const otherBytes = randomBytes(32)

type Shelf = Store & { readonly written: Map<string, SessionRecord>; put(key: string, data: string): Promise<void> }

/** A memory store whose records can be looked at and tampered with. */
function shelf(): Shelf {
  const inner = memoryStore()
  const written = new Map<string, SessionRecord>()
  return {
    ...inner,
    written,
    write(key, record, expected, call) {
      written.set(key, record)
      return inner.write(key, record, expected, call)
    },
    async put(key, data) {
      await inner.destroy(key)
      await inner.write(key, { ...(written.get(key) as SessionRecord), data, version: 'tampered' }, null)
    },
  }
}

/** A site on `store` with these keys, and a client that has set its session there. */
async function started(t: Parameters<typeof site>[0], options: SessionOptions = {}) {
  const store = shelf()
  const place = await site(t, handlers, { store, encryptionKeys: [bytes], ...options })
  const client = place.client()
  await client.get('/set')
  const [key] = store.written.keys()
  return {
    ...place,
    store,
    visitor: client,
    key: key as string,
    data: () => store.written.get(key as string)?.data ?? '',
  }
}

const codes = (errors: unknown[]) => errors.map(error => (isSessionError(error) ? error.code : error))

test('sealed sessions and flash messages come back as they were', async t => {
  const { visitor, errors } = await started(t)
  t.deepEqual((await visitor.get('/get')).json, { card: 'a secret number', n: 1 })
  await visitor.get('/set')
  await visitor.get('/flash')
  t.deepEqual((await visitor.get('/get')).json, { card: 'a secret number', n: 2 })
  t.deepEqual((await visitor.get('/take')).json, ['a secret message'])
  t.deepEqual((await visitor.get('/take')).json, [])
  t.deepEqual(errors, [])
})

test('neither data nor flash messages are readable in a sealed record', async t => {
  const { visitor, store, data } = await started(t)
  await visitor.get('/flash')
  t.is(store.written.size, 1)
  t.regex(data(), /^1;\d+;session;1\n[0-9a-f]{8}\.[\w-]+$/, 'the clear header, a key id, and base64url')
  const body = Buffer.from(data().slice(data().indexOf('.') + 1), 'base64url').toString('latin1')
  for (const text of [data(), body]) for (const word of ['secret', 'card', 'message']) t.false(text.includes(word))
})

test('without encryptionKeys the data are readable', async t => {
  const store = shelf()
  const { client } = await site(t, handlers, { store })
  await client().get('/set')
  t.true([...store.written.values()].every(record => record.data.endsWith('\n{"card":"a secret number","n":1}')))
})

test('the nonce of every sealed record is random: equal data never look equal', async t => {
  const bodies: string[] = []
  const inner = memoryStore()
  const store: Store = {
    ...inner,
    write(key, record, expected, call) {
      bodies.push(record.data.slice(record.data.indexOf('.') + 1))
      return inner.write(key, record, expected, call)
    },
  }
  const { sessions } = await site(t, handlers, { store, encryptionKeys: [bytes] })
  for (let n = 0; n < 300; n++) await sessions.create({ same: 'data' } as object)
  t.is(bodies.length, 300)
  t.is(new Set(bodies.map(body => body.slice(0, 16))).size, 300, 'the nonce: 12 bytes, 16 characters')
  t.is(new Set(bodies.map(body => body.slice(38))).size, 300, 'what is sealed')
})

test('the newest key seals and every older one opens what it sealed', async t => {
  const store = shelf()
  const [oldest, older, newest] = [passphrase, bytes, 'a new passphrase of 32 or more characters']
  const at = (encryptionKeys: (string | Uint8Array)[]) => site(t, handlers, { store, encryptionKeys })
  const visitor = (await at([oldest])).client()
  await visitor.get('/set')
  const keyId = () => [...store.written.values()][0]?.data.match(/\n([0-9a-f]{8})\./)?.[1]
  const first = keyId()

  const rotated = await at([newest, older, oldest])
  const get = async (url: string) => {
    const cookie = `sid=${visitor.jar.get('sid')}`
    return (await (await fetch(`${url}/get`, { headers: { cookie } })).json()) as object
  }
  t.deepEqual(await get(rotated.url), { card: 'a secret number', n: 1 })
  t.is(keyId(), first, 'reading seals nothing')
  await fetch(`${rotated.url}/set`, { headers: { cookie: `sid=${visitor.jar.get('sid')}` } })
  t.not(keyId(), first, 'writing seals with the newest')
  const retired = await at([newest])
  t.deepEqual(await get(retired.url), { card: 'a secret number', n: 2 })
  t.deepEqual(retired.errors, [])
  const behind = await at([older, oldest])
  t.deepEqual(await get(behind.url), {})
  t.deepEqual(codes(behind.errors), ['ERR_SESSION_DECODE'])
})

test('a wrong key is ERR_SESSION_DECODE to onError and an empty new session under a new id', async t => {
  const { store, visitor, data } = await started(t)
  const before = data()
  const other = await site(t, handlers, { store, encryptionKeys: [otherBytes] })
  const cookie = `sid=${visitor.jar.get('sid')}`
  const state = (await other.client().get('/state', { headers: { cookie } })).json
  t.true(state.isNew)
  t.not(state.id, visitor.jar.get('sid'))
  t.deepEqual((await other.client().get('/take', { headers: { cookie } })).json, [])
  t.deepEqual(codes(other.errors), ['ERR_SESSION_DECODE'])
  t.is(data(), before, 'and the record is as it was')
  for (const error of other.errors) t.is(error.cause, undefined)
  t.deepEqual((await visitor.get('/get')).json, { card: 'a secret number', n: 1 })
})

test('with a wrong key flash messages are neither lost nor an error of the request', async t => {
  const { store, visitor } = await started(t)
  await visitor.get('/flash')
  const other = await site(t, handlers, { store, encryptionKeys: [otherBytes] })
  const headers = { cookie: `sid=${visitor.jar.get('sid')}` }
  const taken = await other.client().get('/take', { headers })
  t.is(taken.status, 200)
  t.deepEqual(taken.json, [])
  const stranger = other.client()
  t.is((await stranger.get('/flash', { headers })).status, 204)
  t.not(stranger.jar.get('sid'), undefined, 'what it queued is in a new session')
  t.deepEqual((await stranger.get('/take')).json, ['a secret message'])
  t.deepEqual(codes(other.errors), ['ERR_SESSION_DECODE', 'ERR_SESSION_DECODE'])
  t.deepEqual((await visitor.get('/take')).json, ['a secret message'])
})

test('a plain record is never taken in place of a sealed one, nor a sealed one for plain', async t => {
  for (const [writes, reads] of [
    [undefined, [bytes]],
    [[bytes], undefined],
  ]) {
    const store = shelf()
    const writer = await site(t, handlers, { store, ...(writes && { encryptionKeys: writes }) })
    const visitor = writer.client()
    await visitor.get('/set')
    const reader = await site(t, handlers, { store, ...(reads && { encryptionKeys: reads }) })
    const headers = { cookie: `sid=${visitor.jar.get('sid')}` }
    t.deepEqual((await reader.client().get('/get', { headers })).json, {})
    t.deepEqual(codes(reader.errors), ['ERR_SESSION_DECODE'])
  }
})

test('a sealed record put under the key of another session is ERR_SESSION_DECODE', async t => {
  const { client, visitor, store, data, errors } = await started(t)
  const thief = client()
  await thief.get('/set')
  await thief.get('/set')
  const theirs = [...store.written.keys()][1] as string
  const own = store.written.get(theirs)?.data ?? ''
  await store.put(theirs, data())
  t.deepEqual((await thief.get('/get')).json, {})
  t.deepEqual(codes(errors), ['ERR_SESSION_DECODE'])
  await store.put(theirs, own)
  t.deepEqual((await thief.get('/get')).json, { card: 'a secret number', n: 2 }, 'its own is good')
  t.deepEqual((await visitor.get('/get')).json, { card: 'a secret number', n: 1 })
})

test('the clear header of a sealed record cannot be edited', async t => {
  const { visitor, store, key, data, errors } = await started(t)
  const whole = data()
  const [line = '', body = ''] = whole.split('\n')
  const edits = [
    line.replace(/^1;(\d+)/, (_, createdAt) => `1;${Number(createdAt) + 1}`),
    line.replace('session', '60000'),
    line.replace(/0$/, '1'),
    line.replace(/^1;/, '1;0'),
  ]
  for (const edit of edits) {
    t.not(edit, line)
    await store.put(key, `${edit}\n${body}`)
    errors.length = 0
    t.deepEqual((await visitor.get('/get')).json, {}, edit)
    t.deepEqual(codes(errors), ['ERR_SESSION_DECODE'], edit)
  }
  await store.put(key, whole)
  t.deepEqual((await visitor.get('/get')).json, { card: 'a secret number', n: 1 })
})

test('any change of a sealed body is ERR_SESSION_DECODE', async t => {
  const { visitor, store, key, data, errors } = await started(t, { encryptionKeys: [bytes, otherBytes] })
  const [line = '', body = ''] = data().split('\n')
  const keyId = body.slice(0, 8)
  const sealed = Buffer.from(body.slice(9), 'base64url')
  const flipped = [0, 11, 12, 27, 28, sealed.length - 1].map(at => {
    const copy = Buffer.from(sealed)
    copy[at] = (copy[at] as number) ^ 1
    return `${keyId}.${copy.toString('base64url')}`
  })
  const cut = [0, 1, 12, 16, 27, 28, sealed.length - 1].map(
    n => `${keyId}.${sealed.subarray(0, n).toString('base64url')}`,
  )
  const odd = [
    '',
    '.',
    keyId,
    `${keyId}.`,
    `${keyId},${body.slice(9)}`,
    `00000000.${body.slice(9)}`,
    `${body}AAAA`,
    '{}',
  ]
  for (const text of [...flipped, ...cut, ...odd]) {
    await store.put(key, `${line}\n${text}`)
    errors.length = 0
    t.deepEqual((await visitor.get('/get')).json, {}, text)
    t.deepEqual(codes(errors), ['ERR_SESSION_DECODE'], text)
  }
})

test('a key is 32 bytes or a passphrase of 32 or more characters, and each opens only its own', async t => {
  const text = 'äöü€😀'.repeat(7)
  const keys = [passphrase, `${passphrase} `, text, bytes, Buffer.from('x'.repeat(32)), 'x'.repeat(32)]
  const store = shelf()
  const again = keys.map(key => (typeof key === 'string' ? `${key}` : Uint8Array.from(key)))
  const openers = await Promise.all(again.map(key => site(t, handlers, { store, encryptionKeys: [key] })))
  for (const [own, key] of keys.entries()) {
    const { sessions } = await site(t, handlers, { store, encryptionKeys: [key] })
    const { cookie } = await sessions.create({ n: 1 } as object)
    for (const [other, opener] of openers.entries()) {
      const { json } = await opener.client().get('/get', { headers: { cookie } })
      t.deepEqual(json, other === own ? { n: 1 } : {}, `key ${own} opened by key ${other}`)
    }
  }
})

test('a key that is wiped after construction still seals and opens', async t => {
  const store = shelf()
  const key = randomBytes(32)
  const copy = Buffer.from(key)
  const { sessions } = await site(t, handlers, { store, encryptionKeys: [key] })
  key.fill(0)
  const { cookie } = await sessions.create({ n: 1 } as object)
  const other = await site(t, handlers, { store, encryptionKeys: [copy] })
  t.deepEqual((await other.client().get('/get', { headers: { cookie } })).json, { n: 1 })
})

test('rotateId seals the data for its new key', async t => {
  const store = shelf()
  const { client, errors } = await site(
    t,
    { ...handlers, '/rotate': ctx => ctx.session.rotateId() },
    { store, encryptionKeys: [bytes] },
  )
  const visitor = client()
  await visitor.get('/set')
  const before = visitor.jar.get('sid')
  await visitor.get('/rotate')
  t.not(visitor.jar.get('sid'), before)
  t.deepEqual((await visitor.get('/get')).json, { card: 'a secret number', n: 1 })
  t.deepEqual(errors, [])
})
