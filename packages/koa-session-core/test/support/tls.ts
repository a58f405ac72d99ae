import { get, createServer as httpsServer } from 'node:https'
import type Koa from 'koa'

/** A key that both ends know beforehand needs no certificate (RFC 4279). */
const psk = Buffer.alloc(32, 1)
const ciphers = { ciphers: 'PSK', maxVersion: 'TLSv1.2' } as const

/** For `wrap` of a site: listen for TLS instead. */
export function overTls(app: Koa): void {
  const listen = (...args: Parameters<ReturnType<typeof httpsServer>['listen']>) =>
    httpsServer({ ...ciphers, pskCallback: () => psk }, app.callback()).listen(...args)
  app.listen = listen as unknown as Koa['listen']
}

/** One request over TLS: the `Set-Cookie` lines and the body. */
export function getOverTls(url: string, cookie?: string): Promise<{ cookies: string[]; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = cookie === undefined ? {} : { cookie }
    const secrets = { ...ciphers, pskCallback: () => ({ psk, identity: 'test' }), checkServerIdentity: () => undefined }
    const request = get(url.replace('http:', 'https:'), { ...secrets, headers, agent: false }, response => {
      let text = ''
      response.setEncoding('utf8').on('data', chunk => {
        text += chunk
      })
      response.on('end', () => resolve({ cookies: response.headers['set-cookie'] ?? [], text }))
    })
    request.on('error', reject)
  })
}
