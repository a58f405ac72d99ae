import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
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

async function site(t: ExecutionContext, { name, environment }: OpenableStore): Promise<Server> {
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
  return server
}

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
    ...page.matchAll(/<li>\s*([^<]*?),\s*signed in[^<]*<form[^>]*>\s*<input type="hidden" name="key" value="(\w+)">/g),
  ].map(([, device, key]) => ({ device, key }))

for (const store of stores) {
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
    t.regex(await home(browser), /<h2>Sign in/)
  })

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

  test.serial(`${name}: only remember-me makes the cookie outlive the browser`, async t => {
    const server = await site(t, store)
    const remembered = await signedIn(server, somebody(), { remember: 'on' })
    // Thirty days, less what storing the session took.
    t.regex(remembered.cookie, /Max-Age=(2592000|25919\d\d); Expires=/)
    t.regex(await home(remembered.browser), /even if the browser is closed before/)
    const forgotten = await signedIn(server, somebody())
    t.notRegex(forgotten.cookie, /Max-Age|Expires/)
    t.regex(await home(forgotten.browser), /or when the browser is closed/)
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
      t.deepEqual(listed.map(({ device }) => device).sort(), ['laptop (this one)', 'phone'])
      const key = listed.find(({ device }) => device === 'phone')?.key
      await laptop.browser.post('/devices/revoke').type('form').send({ key }).expect(303)
      t.regex(await home(laptop.browser), /Signed out phone/)
      t.regex(await home(phone.browser), /<h2>Sign in/)
      const own = listed.find(({ device }) => device !== 'phone')?.key
      await laptop.browser.post('/devices/revoke').type('form').send({ key: own }).expect(303)
      t.regex(await home(laptop.browser), /Signed out laptop<[^]*<h2>Sign in/)
    },
  )

  test.serial(`${name}: a user cannot revoke the session of somebody else`, async t => {
    const server = await site(t, store)
    const owner = await signedIn(server, somebody())
    const key = devices(await home(owner.browser))[0]?.key
    const other = await signedIn(server, somebody())
    await other.browser.post('/devices/revoke').type('form').send({ key }).expect(404)
    await request(server).post('/devices/revoke').type('form').send({ key }).expect(401)
    t.regex(await home(owner.browser), /Signed in as/)
  })

  test.serial(`${name}: one button signs out all other devices`, async t => {
    const server = await site(t, store)
    const user = somebody()
    const others = [await signedIn(server, user), await signedIn(server, user)]
    const { browser } = await signedIn(server, user)
    await browser.post('/devices/revoke-others').expect(303)
    t.regex(await home(browser), /Signed out 2 other devices/)
    for (const other of others) t.regex(await home(other.browser), /<h2>Sign in/)
  })

  test.serial(`${name}: signing out confirms it once and ends the session, even for a copy of its cookie`, async t => {
    const server = await site(t, store)
    const { browser, cookie } = await signedIn(server, somebody())
    await browser.post('/sign-out').expect(303)
    t.regex(await home(browser), /Signed out<[^]*<h2>Sign in/)
    t.false((await home(browser)).includes('role="status"'))
    const copy = String(cookie.split(';')[0])
    t.regex((await request(server).get('/').set('Cookie', copy)).text, /<h2>Sign in/)
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
  const response = await request(server).post('/cart').type('form').send({ item: 'tea' }).expect(401)
  t.is(response.headers['set-cookie'], undefined)
})

test('a form that is too large is refused', async t => {
  const server = await site(t, memory)
  const form = { user: 'a'.repeat(20_000) }
  t.is((await request(server).post('/sign-in').type('form').send(form)).status, 413)
})

test('the button sends 20 requests at once and shows that none was lost', async t => {
  const server = await site(t, memory)
  const { browser, cookie } = await signedIn(server, somebody())
  const page = await browser.get('/')
  t.regex(String(page.headers['content-security-policy']), /default-src 'self'/)
  t.regex(page.text, /<script src="\/script.js">/)
  const { text } = await browser.get('/script.js').expect('Content-Type', /javascript/)

  const { port } = server.address() as AddressInfo
  const elements: Record<string, { textContent?: string; click?: () => Promise<void> }> = {}
  const document = {
    querySelector(selector: string) {
      const element = (elements[selector] ??= {})
      return Object.assign(element, {
        addEventListener: (_: string, click: () => Promise<void>) => Object.assign(element, { click }),
      })
    },
  }
  const fetchHere = (path: string, init: RequestInit = {}) =>
    fetch(`http://127.0.0.1:${port}${path}`, { ...init, headers: { cookie: String(cookie.split(';')[0]) } })
  new Function('document', 'fetch', text)(document, fetchHere)
  await elements['#parallel']?.click?.()
  t.is(elements['#result']?.textContent, 'Sent 20 requests at once; the cart has 20 more. Lost: 0.')
})
