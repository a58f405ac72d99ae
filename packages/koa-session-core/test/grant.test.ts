import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import test, { type ExecutionContext } from 'ava'
import Koa, { type Middleware } from 'koa'
import { Koa2, site } from './support/app.js'

const grant = createRequire(import.meta.url)('grant') as { koa(config: object): Middleware }

for (const [name, App] of Object.entries({ 'Koa 3': Koa, 'Koa 2': Koa2 })) {
  test(`${name}, grant: an OAuth 2 flow with state, nonce and PKCE keeps its state in the session`, async t => {
    const { browser, oauth } = await granted(t, App)
    const reply = await oauth('/connect/two?scope=mail')
    t.is(reply.headers.get('location'), '/done')
    const { grant: kept, cart } = (await browser.get('/get')).json
    t.deepEqual(cart, [1])
    t.deepEqual(kept.response, {
      access_token: 'two-token',
      refresh_token: 'two-refresh',
      raw: { access_token: 'two-token', refresh_token: 'two-refresh' },
    })
    t.like(kept, { provider: 'two', dynamic: { scope: 'mail' } })
  })

  test(`${name}, grant: an OAuth 2 callback in another session is refused`, async t => {
    const { client, oauth } = await granted(t, App)
    const stranger = client()
    const { stolen } = await oauth('/connect/two', 'stop')
    await stranger.get('/connect/two')
    await stranger.get(stolen)
    t.like((await stranger.get('/get')).json.grant, { response: { error: 'Grant: OAuth2 state mismatch' } })
  })

  test(`${name}, grant: an OAuth 1 flow keeps its request token in the session`, async t => {
    const { browser, oauth } = await granted(t, App)
    t.is((await oauth('/connect/one')).headers.get('location'), '/done')
    t.like((await browser.get('/get')).json.grant, {
      request: { oauth_token: 'request', oauth_token_secret: 'request-secret' },
      response: { access_token: 'one-token', access_secret: 'one-secret' },
    })
  })
}

/** An app with grant and a provider of OAuth 1 and 2 to sign in at, both over HTTP on loopback. */
async function granted(t: ExecutionContext, App: typeof Koa) {
  let challenge: string | null = null
  let callback = ''
  const provider = createServer(async (req, res) => {
    const { pathname, searchParams } = new URL(req.url ?? '/', 'http://provider')
    let text = ''
    for await (const chunk of req) text += chunk
    const form = new URLSearchParams(text)
    const header = Object.fromEntries(
      [...(req.headers.authorization ?? '').matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value = '']) => [
        key,
        decodeURIComponent(value),
      ]),
    )
    const redirect = (to: string, query: object) =>
      res.writeHead(302, { Location: `${to}?${new URLSearchParams({ ...query })}` }).end()
    const answer = (good: boolean, query: object) =>
      res
        .writeHead(good ? 200 : 400, { 'Content-Type': 'application/x-www-form-urlencoded' })
        .end(new URLSearchParams({ ...query }).toString())
    if (pathname === '/two/authorize') {
      challenge = searchParams.get('code_challenge')
      redirect(searchParams.get('redirect_uri') ?? '', { code: 'code', state: searchParams.get('state') })
    } else if (pathname === '/two/token') {
      const verified = createHash('sha256')
        .update(form.get('code_verifier') ?? '')
        .digest('base64url')
      answer(form.get('code') === 'code' && verified === challenge, {
        access_token: 'two-token',
        refresh_token: 'two-refresh',
      })
    } else if (pathname === '/one/request') {
      callback = header.oauth_callback ?? ''
      answer(true, { oauth_token: 'request', oauth_token_secret: 'request-secret' })
    } else if (pathname === '/one/authorize') {
      redirect(callback, { oauth_token: searchParams.get('oauth_token'), oauth_verifier: 'verifier' })
    } else if (pathname === '/one/access') {
      const good = header.oauth_token === 'request' && header.oauth_verifier === 'verifier'
      answer(good, { oauth_token: 'one-token', oauth_token_secret: 'one-secret' })
    }
  }).listen(0, '127.0.0.1')
  await once(provider, 'listening')
  t.teardown(() => {
    provider.close()
    provider.closeAllConnections()
  })
  const there = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`
  let handler: Middleware | undefined
  const here = await site(
    t,
    {
      '/fill': ctx => {
        ctx.session.cart = [1]
      },
      '/get': ctx => ({ ...ctx.session }),
    },
    { Koa: App, middleware: [(ctx, next) => (handler as Middleware)(ctx, next)] },
  )
  const common = { key: 'key', secret: 'secret', callback: '/done' }
  handler = grant.koa({
    defaults: { origin: here.url, transport: 'session' },
    one: {
      ...common,
      oauth: 1,
      request_url: `${there}/one/request`,
      authorize_url: `${there}/one/authorize`,
      access_url: `${there}/one/access`,
    },
    two: {
      ...common,
      oauth: 2,
      state: true,
      nonce: true,
      pkce: true,
      dynamic: ['scope'],
      authorize_url: `${there}/two/authorize`,
      access_url: `${there}/two/token`,
    },
  })
  const browser = here.client()
  await browser.get('/fill')
  /** From our site to the provider and back; with `'stop'`, up to the address the provider sends the browser back to. */
  const oauth = async (path: string, stop?: 'stop') => {
    const started = await browser.get(path)
    const provided = await fetch(started.headers.get('location') ?? '', { redirect: 'manual' })
    const back = new URL(provided.headers.get('location') ?? '')
    const stolen = back.pathname + back.search
    return { stolen, headers: stop ? started.headers : (await browser.get(stolen)).headers }
  }
  return { ...here, browser, oauth }
}
