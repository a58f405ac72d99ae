import { AssertionError, strictEqual } from 'node:assert/strict'
import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import { text } from 'node:stream/consumers'
import type { Handler, Posted, Site } from './site.js'

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  /** The `Set-Cookie` headers as they came. */
  readonly cookies: readonly string[]
  readonly body: string
  /** The result of the handler. */
  readonly value: any
}

export interface Asking {
  /** @default the browser's own site */
  readonly site?: Site
  readonly method?: string
  readonly headers?: Record<string, string>
  /** The only status that is right. Without it, any below 500 is. */
  readonly status?: number
  /** Whether any status is right. */
  readonly anyStatus?: boolean
}

/** One person's browser: a jar of cookies, and requests whose handlers are functions in the test. */
export class Browser {
  readonly site: Site
  readonly #jar: Map<string, string>

  constructor(site: Site, jar: Iterable<[string, string]> = []) {
    this.site = site
    this.#jar = new Map(jar)
  }

  /** The `Cookie` header it sends; empty without cookies. */
  get cookie(): string {
    return [...this.#jar].map(([name, value]) => `${name}=${value}`).join('; ')
  }

  /** The session id it holds. */
  get id(): string | undefined {
    return this.#jar.get('sid')
  }

  /** Another browser with the same cookies. */
  copy(site = this.site): Browser {
    return new Browser(site, this.#jar)
  }

  /** Do with the cookies of `answer` what browsers do. */
  keep({ cookies }: Answer): void {
    for (const line of cookies) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (/; *max-age=(0|-\d+)( *;|$)/i.test(line)) this.#jar.delete(name)
      else this.#jar.set(name, value)
    }
  }

  /** Ask, and keep the cookies of the answer. */
  async visit(handler: Handler, asking?: Asking): Promise<Answer> {
    const answer = await this.send(handler, asking)
    this.keep(answer)
    return answer
  }

  /** Ask, and let the test decide when the answer's cookies arrive. */
  send(handler: Handler, asking: Asking = {}): Promise<Answer> {
    const site = asking.site ?? this.site
    const posted = site.post(handler)
    posted.resume()
    return this.#ask(site, posted, asking)
  }

  /** Ask, and return when the handler waits at `pause()`. What comes back makes it go on, to the answer. */
  async begin(handler: Handler, asking: Asking = {}): Promise<() => Promise<Answer>> {
    const site = asking.site ?? this.site
    const posted = site.post(handler)
    const answer = this.#ask(site, posted, asking)
    // A handler that fails on its way to `pause()` ends the wait; a failure after it is for who asks for the answer.
    answer.catch(() => {})
    await Promise.race([posted.paused, answer])
    return () => {
      posted.resume()
      return answer
    }
  }

  /** The data in the session of this browser. */
  async data(site = this.site): Promise<Record<string, any>> {
    return (await this.visit(({ session }) => ({ ...session }), { site })).value
  }

  async #ask(site: Site, { path }: Posted, asking: Asking): Promise<Answer> {
    const answer = await exchange(site.port, path, this.cookie, asking)
    const { status } = answer
    if (asking.status !== undefined) strictEqual(status, asking.status, `an answer with status ${asking.status}`)
    else if (status >= 500 && !asking.anyStatus) {
      const error = new AssertionError({ message: `the handler failed: ${String(site.thrown.at(-1))}` })
      error.cause = site.thrown.at(-1)
      throw error
    }
    return answer
  }
}

// Opening a connection costs more than a request.
const agent = new Agent({ keepAlive: true })

/** One request over HTTP, on a connection that no other request uses meanwhile. */
export function exchange(port: number, path: string, cookie: string, asking: Asking = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { ...(cookie && { cookie }), ...asking.headers }
    const asked = request({ host: '127.0.0.1', port, path, method: asking.method ?? 'GET', headers, agent })
    asked.on('error', reject)
    asked.on('response', async response => {
      try {
        const body = await text(response)
        const { statusCode = 0, headers } = response
        const isJson = headers['content-type']?.startsWith('application/json') && body !== ''
        const value = isJson ? JSON.parse(body).value : undefined
        resolve({ status: statusCode, headers, cookies: headers['set-cookie'] ?? [], body, value })
      } catch (error) {
        reject(error)
      }
    })
    asked.end()
  })
}
