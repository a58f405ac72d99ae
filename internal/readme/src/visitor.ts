import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'

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
    const asking = request(url, { method, headers: cookie ? { cookie } : {}, agent: false }).end()
    const [response] = (await once(asking, 'response')) as [IncomingMessage]
    const body = await text(response)
    const cookies = response.headers['set-cookie'] ?? []
    for (const line of cookies) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      const [, expires] = /; *expires=([^;]*)/i.exec(line) ?? []
      if (expires && Date.parse(expires) <= Date.now()) this.jar.delete(name)
      else this.jar.set(name, value)
    }
    const isJson = response.headers['content-type']?.startsWith('application/json')
    return { status: Number(response.statusCode), cookies, value: isJson ? JSON.parse(body) : body }
  }
}
