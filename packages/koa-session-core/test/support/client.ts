export interface Reply {
  readonly status: number
  readonly headers: Headers
  /** The `Set-Cookie` lines as they came. */
  readonly cookies: string[]
  readonly text: string
  readonly json: any
}

export interface Request {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: unknown
}

/** A browser, as far as sessions go: it keeps cookies, and forgets them when told to. Redirects are not followed. */
export interface Client {
  readonly jar: Map<string, string>
  get(path: string, request?: Request): Promise<Reply>
  post(path: string, body?: unknown, request?: Request): Promise<Reply>
  /** Another one with the same cookies; with `elsewhere`, for another process of the same site. */
  fork(elsewhere?: string): Client
}

export function client(url: string, jar: Map<string, string> = new Map()): Client {
  const send = async (path: string, { method = 'GET', headers = {}, body }: Request): Promise<Reply> => {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(new URL(path, url), {
      method,
      redirect: 'manual',
      headers: {
        ...(cookie && { cookie }),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    const cookies = response.headers.getSetCookie()
    for (const line of cookies) keep(jar, line)
    const text = await response.text()
    return {
      status: response.status,
      headers: response.headers,
      cookies,
      text,
      get json() {
        return JSON.parse(text)
      },
    }
  }
  return {
    jar,
    get: (path, request = {}) => send(path, request),
    post: (path, body, request = {}) => send(path, { method: 'POST', body, ...request }),
    fork: (elsewhere = url) => client(elsewhere, new Map(jar)),
  }
}

/** RFC 6265, section 5.3, for one host: the attributes that end a cookie are the ones that count. */
function keep(jar: Map<string, string>, line: string): void {
  const [pair = '', ...attributes] = line.split(';').map(part => part.trim())
  const at = pair.indexOf('=')
  const name = pair.slice(0, at)
  let left = Number.POSITIVE_INFINITY
  for (const attribute of attributes) {
    const [key = '', value = ''] = attribute.split('=')
    if (/^expires$/i.test(key) && left === Number.POSITIVE_INFINITY) left = Date.parse(value) - Date.now()
  }
  for (const attribute of attributes) if (/^max-age=/i.test(attribute)) left = Number(attribute.slice(8))
  if (left <= 0) jar.delete(name)
  else jar.set(name, pair.slice(at + 1))
}
