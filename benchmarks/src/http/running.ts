import { Child } from '../harness/child.js'
import { environmentOf, placeOf } from '../harness/servers.js'
import type { HttpContender } from './contenders.js'
import { verify } from './visitor.js'

/** A contender's server in a process of its own. */
export interface Running {
  readonly child: Child
  readonly url: string
}

/** `undefined`: its storage is not available here. */
export async function start(
  { library, storage, base }: Pick<HttpContender, 'library' | 'storage' | 'base'>,
  env: NodeJS.ProcessEnv = {},
): Promise<Running | undefined> {
  const place = await placeOf(storage)
  if (place === undefined) return undefined
  const file = new URL('server.js', import.meta.url)
  const child = new Child(file, [library, storage], { env: { ...environmentOf(place), ...env } })
  const url = `http://127.0.0.1:${await child.answer<number>()}`
  if (library !== base) await verify(url)
  return { child, url }
}
