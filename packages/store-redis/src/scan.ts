import type { StoreCall } from 'koa-session-core'
import { untilAborted } from 'koa-session-core/store'
import type { RedisClient } from './client.js'
import type { Listed } from './subject-index.js'

/** The keys of all records under `prefix`, live or not, some perhaps more than once. */
export async function* scanKeys(
  client: RedisClient,
  prefix: string,
  count: number,
  call: StoreCall,
): AsyncGenerator<Listed[]> {
  // SCAN returns keys with the client's prefix, but the client does not add its prefix to a pattern.
  const start = (client.options?.keyPrefix ?? '') + prefix
  const pattern = `${start.replace(/[*?[\]\\]/g, '\\$&')}[0-9a-f]*`
  for (const node of await nodesOf(client, call)) {
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

async function nodesOf(client: RedisClient, call: StoreCall): Promise<readonly Pick<RedisClient, 'call'>[]> {
  if (client.nodes === undefined) return [client]
  // A Cluster client knows its nodes once it has answered.
  await untilAborted(call, () => client.call('ping'))
  const nodes = client.nodes('master')
  // An empty answer would silently sign people out.
  if (nodes.length === 0) throw new Error('the Redis Cluster has no master')
  return nodes
}
