import { writeSync } from 'node:fs'
import { newRecord } from '@koa-session/store-tests/tested-store'
import { open } from './open.js'

/** Counts in a session for ever, and tells of each number once it is stored. */
const [root = '', world = '', key = ''] = process.argv.slice(2)
const store = open(root, world)
const found = await store.read(key)
let version = found?.version ?? null
for (let n = found ? Number(found.data) + 1 : 0; ; n++) {
  const record = newRecord({ data: String(n) })
  if (!(await store.write(key, record, version))) throw new Error('nobody else writes here')
  version = record.version
  writeSync(1, `${n}\n`)
}
