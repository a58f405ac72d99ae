import { mongoStore } from 'koa-session-store-mongo'

export const open = (url: string, world: string) => mongoStore({ url, collection: world })
