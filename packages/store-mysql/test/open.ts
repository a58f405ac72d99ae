import { mysqlStore } from 'koa-session-store-mysql'

export const open = (url: string, world: string) => mysqlStore({ url, table: world })
