import { createHash } from 'node:crypto'
import type { Commands } from './clients.js'

/** A Lua script that touches one key, and so runs in one atomic step and on any node of a Cluster. */
export class Script {
  readonly #text: string
  readonly #hash: string

  constructor(text: string) {
    this.#text = text
    this.#hash = createHash('sha1').update(text).digest('hex')
  }

  run(client: Commands, key: string, ...args: (string | number)[]): Promise<unknown> {
    return client.call('evalsha', this.#hash, 1, key, ...args).catch(error => {
      // A server that does not know the script ran nothing.
      if (!String((error as Partial<Error> | null)?.message).startsWith('NOSCRIPT')) throw client.reasonFor(error)
      return client.call('eval', this.#text, 1, key, ...args)
    })
  }
}
