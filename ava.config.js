import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'

// Tests run as tsc compiles them: what is in `test` runs in `build`, on the packages as they are published.
const compiled = path => path.replace(/(^|\/)test(\/.*)?$/, '$1build$2').replace(/(\/build\/.*)\.ts$/, '$1.js')

// `npx ava packages/store-file/test/sweep.test.ts` names a source.
const args = process.argv.slice(2)
if (args.some(argument => compiled(argument) !== argument)) {
  const { status } = spawnSync(process.execPath, [process.argv[1], ...args.map(compiled)], { stdio: 'inherit' })
  process.exit(status ?? 1)
}

// `npm test` has compiled before.
if (!process.env.COMPILED)
  spawnSync(join(import.meta.dirname, 'node_modules/.bin/tsc'), ['-b'], { stdio: ['ignore', 2, 2] })

// From the sources: a test that was removed may still be in `build`.
const sources = ['packages', 'examples', 'internal'].flatMap(folder =>
  readdirSync(join(import.meta.dirname, folder), { recursive: true }).map(path => `${folder}/${path}`),
)

/** What takes longest begins first, so that nothing runs alone at the end. Most of these wait more than they compute. */
const longest = [
  'koa-session-core/build/testkit',
  'store-mongo/build/faults',
  'demo/build/browser',
  'koa-session-core/build/faults',
  'store-mongo/build/contract',
  'store-mysql/build/faults',
  'store-postgres/build/faults',
  'store-mongo/build/reasons',
  'koa-session-core/build/behaviour',
  'store-file/build/contract',
  'store-file/build/behaviour',
  'store-redis/build/index',
  'store-redis/build/node-redis',
  'test-servers/build/groups',
  'test-servers/build/main',
  'readme/build/migrating',
  'store-redis/build/faults',
  'store-mysql/build/contract',
  'koa-session-core/build/model',
  'create-koa-session-store/build/generated',
  'readme/build/readme',
  'demo/build/demo',
  'koa-session-core/build/race',
  'store-sqlite/build/behaviour',
  'store-postgres/build/contract',
  'store-redis/build/contract',
  'store-file/build/crash',
  'store-file/build/pause',
]
const place = path => {
  const found = longest.findIndex(part => path.includes(part))
  return found === -1 ? longest.length : found
}

export default {
  files: sources.filter(path => /^\w+\/[\w-]+\/test\/.*\.test\.ts$/.test(path)).map(compiled),
  sortTestFiles: (one, other) => place(one) - place(other),
  // Errors name the lines of the sources.
  nodeArguments: ['--enable-source-maps'],
  // Child processes: some tests change the clock or the globals of their process.
  workerThreads: false,
  // More than the processors: many tests only wait, for a server or for time to pass.
  concurrency: 3 * availableParallelism(),
  timeout: '5m',
}
