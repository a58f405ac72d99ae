export interface HttpContender {
  readonly title: string
  readonly library: string
  readonly storage: string
  /** The library without sessions to which its figures are a ratio. */
  readonly base: 'koa' | 'express' | 'fastify'
}

const titles: Record<string, string> = {
  koa: 'bare Koa',
  express: 'bare Express',
  fastify: 'bare Fastify',
  ours: 'koa-session-core',
  'koa-session': 'koa-session 7',
}

function contender(library: string, storage = '', base: HttpContender['base'] = 'koa'): HttpContender {
  const title = titles[library] ?? library
  return { title: storage === '' ? title : `${title}, ${storage}`, library, storage, base }
}

export const storages = ['memory', 'file', 'sqlite', 'redis', 'postgres', 'mysql', 'mongo'] as const

const bare = [contender('koa'), contender('express', '', 'express'), contender('fastify', '', 'fastify')]
export const floors = storages.map(storage => contender('floor', storage))
export const ours = storages.map(storage => contender('ours', storage))
export const koaSession = ['cookie', 'map'].map(storage => contender('koa-session', storage))
/** express-session has no store for SQLite that is well kept. */
export const expressSession = storages
  .filter(storage => storage !== 'sqlite')
  .map(storage => contender('express-session', storage, 'express'))
export const fastifySession = [contender('@fastify/session', 'memory', 'fastify')]

export const all = [
  ...bare,
  ...storages.flatMap((_, index) => [floors[index], ours[index]] as HttpContender[]),
  ...koaSession,
  ...expressSession,
  ...fastifySession,
]
