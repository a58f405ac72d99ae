import { databaseStoreTests } from '@koa-session/store-tests'
import { sharedServer } from '@koa-session/test-servers'
import test from 'ava'
import { mysqlStore } from 'koa-session-store-mysql'
import { createPool } from 'mysql2/promise'
import { open } from './open.js'

const server = await sharedServer('mysql')
const pool = createPool({ uri: server?.url ?? 'mysql://localhost', connectionLimit: 20 })
test.after.always(() => pool.end())

databaseStoreTests(test, {
  server,
  open,
  create: world => mysqlStore({ pool, table: world }),
  module: import.meta.url,
  capabilities: ['sweep', 'keys', 'shared'],
})
