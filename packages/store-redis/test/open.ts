import { redisStore } from 'koa-session-store-redis'

export const open = (url: string, world: string) => redisStore({ url, prefix: `${world}:` })
