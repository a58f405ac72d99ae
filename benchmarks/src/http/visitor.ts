import { strict as assert } from 'node:assert'

export interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: what a handler answered
  readonly body: any
}

/** A browser: it keeps the cookies of one server. */
export class Visitor {
  readonly #url: string
  readonly #cookies = new Map<string, string>()

  constructor(url: string, cookie = '') {
    this.#url = url
    for (const pair of cookie.split('; ')) if (pair !== '') this.#keep(pair)
  }

  get cookie(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  }

  async get(path: string): Promise<Answer> {
    const { cookie } = this
    const response = await fetch(this.#url + path, cookie === '' ? {} : { headers: { cookie } })
    for (const header of response.headers.getSetCookie()) this.#keep(header.split(';', 1)[0] as string)
    const text = await response.text()
    return { status: response.status, body: response.ok ? JSON.parse(text) : text }
  }

  async signIn(path = '/sign-in'): Promise<this> {
    const { status, body } = await this.get(path)
    assert.equal(status, 200, `sign-in failed: ${JSON.stringify(body)}`)
    return this
  }

  #keep(pair: string): void {
    const at = pair.indexOf('=')
    const value = pair.slice(at + 1)
    if (value === '') this.#cookies.delete(pair.slice(0, at))
    else this.#cookies.set(pair.slice(0, at), value)
  }
}

/** See that a server does what is measured: a figure of one that does not is worth nothing. */
export async function verify(url: string): Promise<void> {
  const stranger = new Visitor(url)
  await stranger.get('/anonymous')
  assert.equal(stranger.cookie, '', 'an anonymous visitor got a cookie')
  assert.equal((await stranger.get('/read')).body.userId, undefined, 'a stranger has a session')
  const user = await new Visitor(url).signIn()
  assert.deepEqual((await user.get('/read')).body, { userId: 123456, count: 1000, pages: 0 }, 'a read shows other data')
  await user.get('/write')
  assert.equal((await user.get('/read')).body.count, 1001, 'a write is not there on the next request')
}
