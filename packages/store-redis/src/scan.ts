import type { StoreCall } from 'koa-session-core'
import { untilAborted } from 'koa-session-core/store'
import type { Commands } from './clients.js'
import type { Listed } from './subject-index.js'

/** The keys of all records under `prefix`, live or not, some perhaps more than once. */
export async function* scanKeys(
  client: Commands,
  prefix: string,
  count: number,
  call: StoreCall,
): AsyncGenerator<Listed[]> {
  // SCAN returns keys with the client's prefix, but the client does not add its prefix to a pattern.
  const start = client.keyPrefix + prefix
  const pattern = `${start.replace(/[*?[\]\\]/g, '\\$&')}[0-9a-f]*`
  const nodes = await untilAborted(call, () => client.masters())
  // An empty answer would silently sign people out.
  if (nodes.length === 0) throw new Error('the Redis Cluster has no master')
  for (const node of nodes) {
    let cursor = '0'
    do {
      const reply = await untilAborted(call, () => node.call('scan', cursor, 'match', pattern, 'count', count))
      const [next, names] = reply as [string, string[]]
      cursor = String(next)
      yield names
        .map(name => ({ key: name.slice(start.length), listing: '' }))
        .filter(({ key }) => /^[0-9a-f]{64}$/.test(key))
    } while (cursor !== '0')
  }
}
