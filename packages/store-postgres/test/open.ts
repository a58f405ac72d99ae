import { postgresStore } from 'koa-session-store-postgres'

export const open = (url: string, world: string) => postgresStore({ url, table: world })
