import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isFull } from '@koa-session/behaviour/full'
import { openStore } from '@koa-session/example-support'
import { type OpenableStore, openableStores } from '@koa-session/example-support/testing'
import test, { type ExecutionContext } from 'ava'
import request from 'supertest'
import { createApp } from '../dist/app.js'

// First of all: AVA takes no tests after a pause that follows a declaration.
const stores = await openableStores()
const directory = await mkdtemp(join(tmpdir(), 'koa-session-demo-'))
test.after.always(() => rm(directory, { recursive: true, force: true }))

const memory: OpenableStore = { name: 'memory', environment: { STORE: 'memory' } }

let people = 0
/** A name of its own for each test, because the tests share what the store holds. */
const somebody = () => `Ada ${process.pid}-${++people}`

async function siteWithSessions(t: ExecutionContext, { name, environment }: OpenableStore) {
  const { app, sessions } = createApp(await openStore({ ...environment, SESSION_DIRECTORY: join(directory, name) }))
  app.silent = true
  const server = app.listen(0, '127.0.0.1')
  // Held up by other processes, a client would use a connection that the server has just given up.
  server.keepAliveTimeout = 0
  await once(server, 'listening')
  t.teardown(async () => {
    server.close()
    await sessions.close()
  })
  return { server, sessions }
}

const site = async (t: ExecutionContext, store: OpenableStore): Promise<Server> =>
  (await siteWithSessions(t, store)).server

/** A browser that has signed in. */
async function signedIn(server: Server, user: string, { device = 'a test', remember = '' } = {}) {
  const browser = request.agent(server)
  const form = { user, ...(remember && { remember }) }
  const response = await browser.post('/sign-in').set('User-Agent', device).type('form').send(form).expect(303)
  return { browser, cookie: String(response.headers['set-cookie']) }
}

const home = async (browser: ReturnType<typeof request.agent>) => (await browser.get('/').expect(200)).text

/** The keys in the forms of the device list, and which text stands before each. */
const devices = (page: string) =>
  [
    ...page.matchAll(
      /<li>\s*<span>([^<]*?), just now<\/span>\s*<form[^>]*>\s*<input type="hidden" name="key" value="(\w+)">/g,
    ),
  ].map(([, device, key]) => ({ device, key }))

/** What depends on the demo alone is the same on every store. */
for (const store of isFull ? stores : [memory]) {
  const { name } = store

  test.serial(`${name}: signing in greets once, in escaped HTML`, async t => {
    const server = await site(t, store)
    const { browser } = await signedIn(server, '<b>"Ada"</b>')
    const first = await home(browser)
    t.true(first.includes('Signed in as &#60;b&#62;&#34;Ada&#34;&#60;/b&#62;</p>'))
    t.false(first.includes('<b>'))
    t.false((await home(browser)).includes('role="status"'))
  })

  test.serial(`${name}: a form without a name is refused with a message`, async t => {
    const browser = request.agent(await site(t, store))
    await browser.post('/sign-in').type('form').send({ user: ' ' }).expect(303)
    t.regex(await home(browser), /class="flash error"[^>]*>Who are you\?/)
    await browser.post('/sign-in').send({ user: 'json' }).expect(415)
    t.regex(await home(browser), /Any name will do/)
  })

  test.serial(
    `${name}: only remember-me makes the cookie outlive the browser, and the page says truly when the session ends`,
    async t => {
      const { server, sessions } = await siteWithSessions(t, store)
      const lives = async (user: string, lifetime: number) => {
        const ends: number[] = []
        for await (const { expiresAt } of sessions.list(user)) ends.push(expiresAt - Date.now())
        t.is(ends.length, 1)
        t.true(ends.every(left => left > lifetime - 5 * 60_000 && left <= lifetime))
      }
      const hour = 60 * 60 * 1000
      const [one, other] = [somebody(), somebody()]
      const remembered = await signedIn(server, one, { remember: 'on' })
      // Thirty days, less what storing the session took.
      t.regex(remembered.cookie, /Max-Age=(2592000|25919\d\d); Expires=/)
      t.regex(
        await home(remembered.browser),
        /If you do not come back, this ends in 30 days, even if you close the browser before\./,
      )
      await lives(one, 30 * 24 * hour)
      const forgotten = await signedIn(server, other)
      t.notRegex(forgotten.cookie, /Max-Age|Expires/)
      t.regex(
        await home(forgotten.browser),
        /If you do not come back, this ends in 1 hour, or when you close the browser\./,
      )
      await lives(other, hour)
    },
  )

  test.serial(`${name}: a user cannot revoke the session of somebody else`, async t => {
    const server = await site(t, store)
    const owner = await signedIn(server, somebody())
    const key = devices(await home(owner.browser))[0]?.key
    const other = await signedIn(server, somebody())
    await other.browser.post('/devices/revoke').type('form').send({ key }).expect(303)
    t.regex(await home(other.browser), /You have no such device/)
    await request(server).post('/devices/revoke').type('form').send({ key }).expect(303)
    t.regex(await home(owner.browser), /Signed in as/)
  })

  test.serial(`${name}: one button signs out all other devices`, async t => {
    const server = await site(t, store)
    const user = somebody()
    const others = [await signedIn(server, user), await signedIn(server, user)]
    const { browser } = await signedIn(server, user)
    await browser.post('/devices/revoke-others').expect(303)
    t.regex(await home(browser), /Signed out 2 other devices/)
    for (const other of others) t.regex(await home(other.browser), /Any name will do/)
  })

  test.serial(
    `${name}: the device list shows the user's own devices, and revoking one signs out only that one`,
    async t => {
      const server = await site(t, store)
      const user = somebody()
      const phone = await signedIn(server, user, { device: 'phone' })
      const laptop = await signedIn(server, user, { device: 'laptop' })
      await signedIn(server, somebody(), { device: 'stranger' })
      const listed = devices(await home(laptop.browser))
      t.deepEqual(listed.map(({ device }) => device).sort(), ['laptop, this device', 'phone'])
      const key = listed.find(({ device }) => device === 'phone')?.key
      await laptop.browser.post('/devices/revoke').type('form').send({ key }).expect(303)
      t.regex(await home(laptop.browser), /Signed out phone/)
      t.regex(await home(phone.browser), /Any name will do/)
      const own = listed.find(({ device }) => device !== 'phone')?.key
      await laptop.browser.post('/devices/revoke').type('form').send({ key: own }).expect(303)
      t.regex(await home(laptop.browser), /Signed out laptop<[^]*Any name will do/)
    },
  )

  test.serial(`${name}: signing out confirms it once and ends the session, even for a copy of its cookie`, async t => {
    const server = await site(t, store)
    const { browser, cookie } = await signedIn(server, somebody())
    await browser.post('/sign-out').expect(303)
    t.regex(await home(browser), /Signed out<[^]*Any name will do/)
    t.false((await home(browser)).includes('role="status"'))
    const copy = String(cookie.split(';')[0])
    t.regex((await request(server).get('/').set('Cookie', copy)).text, /Any name will do/)
  })
}

for (const store of stores) {
  const { name } = store

  test.serial(`${name}: 20 parallel additions to the cart are all kept`, async t => {
    const { browser } = await signedIn(await site(t, store), somebody())
    const add = () => browser.post('/cart').type('form').send({ item: 'tea' }).expect(303)
    await add()
    await Promise.all(Array.from({ length: 20 }, add))
    t.deepEqual((await browser.get('/cart')).body, { tea: 21 })
    await browser.post('/cart').type('form').send({ item: '__proto__' }).expect(400)
    await browser.post('/cart/empty').expect(303)
    t.deepEqual((await browser.get('/cart')).body, {})
  })
}

test('a GET changes nothing, and no other site can post with the cookie', async t => {
  const server = await site(t, memory)
  const { browser, cookie } = await signedIn(server, somebody())
  t.regex(cookie, /; HttpOnly; SameSite=Lax/)
  for (const path of ['/sign-in', '/sign-out', '/cart/empty', '/devices/revoke', '/devices/revoke-others']) {
    await browser.get(path).expect(405)
  }
  t.regex(await home(browser), /Signed in as/)
})

test('the cart requires signing in', async t => {
  const server = await site(t, memory)
  const response = await request(server).post('/cart').type('form').send({ item: 'tea' }).expect(303)
  t.is(response.headers['set-cookie'], undefined)
  t.regex((await request(server).get(String(response.headers.location))).text, /You are not signed in/)
})

test('a cookie of another app on the host is not taken for a session that has ended', async t => {
  const server = await site(t, memory)
  const id = 'x'.repeat(43)
  t.notRegex((await request(server).get('/').set('Cookie', `sid=${id}; __Host-sid=${id}`)).text, /role="status"/)
  const { text } = await request(server).get('/').set('Cookie', `demo=${id}`)
  t.regex(text, /role="status">\s*You are not signed in\. If you were:[^<]* a demo\s+that has been restarted/)
})

test('the page says that a session in memory ends with the demo, and only of such', async t => {
  const { browser } = await signedIn(await site(t, memory), somebody())
  t.regex(await home(browser), /It is kept in memory, so it also ends with this demo/)
  const file = await signedIn(await site(t, { name: 'file', environment: { STORE: 'file' } }), somebody())
  t.notRegex(await home(file.browser), /in memory/)
})

test('what would do nothing is not offered, and says so if another tab still offers it', async t => {
  const server = await site(t, memory)
  const user = somebody()
  const { browser } = await signedIn(server, user)
  t.notRegex(await home(browser), /Sign out all others|Empty the cart/)
  await browser.post('/devices/revoke-others').expect(303)
  t.regex(await home(browser), /No other device was signed in/)
  await browser.post('/cart').type('form').send({ item: 'tea' }).expect(303)
  const other = await signedIn(server, user)
  for (const page of [browser, other.browser]) t.regex(await home(page), /Sign out all others/)
  t.regex(await home(browser), /Empty the cart/)
})

test('a form that is too large is refused', async t => {
  const server = await site(t, memory)
  const form = { user: 'a'.repeat(20_000) }
  t.is((await request(server).post('/sign-in').type('form').send(form)).status, 413)
})

for (const store of isFull ? stores : [memory]) {
  test(`${store.name}: the races show what an ordinary session loses, without JavaScript`, async t => {
    const server = await site(t, store)
    const { browser } = await signedIn(server, somebody())
    const outcomes = async (race: string) => {
      const { text } = await browser.post('/race').type('form').send({ race }).expect(200)
      return [...text.matchAll(/<output id="(\w+)" class="(\w+)"><strong>([^<]*)/g)].map(([, ...parts]) =>
        parts.join(': '),
      )
    }
    const [ordinary, ours] = await outcomes('requests')
    t.is(ordinary, 'ordinary: wrong: kept 1, lost 19')
    t.is(ours, 'ours: right: kept 20, lost 0')
    t.deepEqual(await outcomes('sign-out'), ['ordinary: wrong: alive again', 'ours: right: ended'])
    t.regex(await home(browser), /Signed in as/, 'a race leaves the visitor signed in')
  })
}

test('a race that does not exist is refused', async t => {
  const server = await site(t, memory)
  t.is((await request(server).post('/race').type('form').send({ race: 'horse' })).status, 400)
  t.is((await request(server).post('/race/ours/request/21')).status, 404)
  t.is((await request(server).get('/race/ours/sign-out')).status, 405)
})

test('a session that was ended elsewhere says so once the browser comes back', async t => {
  const server = await site(t, memory)
  const user = somebody()
  const [phone, laptop] = [await signedIn(server, user), await signedIn(server, user)]
  await laptop.browser.post('/devices/revoke-others').expect(303)
  t.regex(await home(phone.browser), /role="status">\s*You are not signed in[^]*name="user"/)
  await laptop.browser.post('/sign-out').expect(303)
  t.notRegex(await home(laptop.browser), /You are not signed in/)
  t.notRegex((await request(server).get('/')).text, /You are not signed in/)
})
