export interface Shown {
  readonly status: number
  /** The `Set-Cookie` headers as they came. */
  readonly cookies: string[]
  /** The body, if it is JSON. */
  readonly value: any
}

/** A browser: its cookies go to every port of the host. */
export class Visitor {
  readonly jar: Map<string, string>

  constructor(jar: Iterable<[string, string]> = []) {
    this.jar = new Map(jar)
  }

  get(url: string, path = '/'): Promise<Shown> {
    return this.#send('GET', url + path)
  }

  post(url: string, path: string): Promise<Shown> {
    return this.#send('POST', url + path)
  }

  /** Another one with the same cookies. */
  copy(): Visitor {
    return new Visitor(this.jar)
  }

  async #send(method: string, url: string): Promise<Shown> {
    const cookie = [...this.jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const headers = { ...(cookie && { cookie }), connection: 'close' }
    const response = await fetch(url, { method, headers, redirect: 'manual' })
    const cookies = response.headers.getSetCookie()
    for (const line of cookies) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      const [, expires] = /; *expires=([^;]*)/i.exec(line) ?? []
      if (expires && Date.parse(expires) <= Date.now()) this.jar.delete(name)
      else this.jar.set(name, value)
    }
    const isJson = response.headers.get('content-type')?.startsWith('application/json')
    return { status: response.status, cookies, value: isJson ? await response.json() : await response.text() }
  }
}
