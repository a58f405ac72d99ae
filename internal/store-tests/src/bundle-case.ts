import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { isFull } from '@koa-session/behaviour/full'
import type { Capability } from 'koa-session-core/testkit'
import type { StoreCase } from './tested-store.js'

export interface BundleOptions {
  /** Has the function `open`, an `OpenStore`. */
  readonly module: URL
  readonly url: string
  readonly capabilities: readonly Capability[]
}

/** Cases that run at the same time: stores on connections of their own would need too many for all at once. */
const concurrency = 6

/** Tests a store in an app that is bundled into one file. */
export function bundleCase({ module, url, capabilities }: BundleOptions): StoreCase {
  return {
    title: 'bundled into one file the store passes the testkit in an empty folder, and the process ends by itself',
    async run() {
      // Loaded here, because every file of tests on a database would pay for it.
      const { build } = await import('esbuild')
      const folder = await mkdtemp(join(tmpdir(), 'koa-session-bundle-'))
      try {
        await build({
          stdin: { contents: program(fileURLToPath(module), capabilities), resolveDir: dirname(fileURLToPath(module)) },
          bundle: true,
          platform: 'node',
          outfile: join(folder, 'bundle.cjs'),
          logLevel: 'error',
        })
        const child = spawn(process.execPath, ['bundle.cjs'], {
          cwd: folder,
          env: { ...process.env, NODE_OPTIONS: '', URL: url },
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        const [output, [code]] = await Promise.all([text(child.stdout), once(child, 'close')])
        assert.equal(output, 'passed\n')
        assert.equal(code, 0)
      } finally {
        await rm(folder, { recursive: true, force: true })
      }
    },
  }
}

const repeated = fileURLToPath(new URL('./repeated-cases.js', import.meta.url))

// A bundle may miss a part of a driver, but does not change how calls race.
const chosen = isFull ? '' : `.filter(({ theme }) => theme === 'conditions')`

const program = (module: string, capabilities: readonly Capability[]) => `
  import { repeatedCases } from ${JSON.stringify(repeated)}
  import { open } from ${JSON.stringify(module)}

  const create = world => open(process.env.URL, world)
  const cases = repeatedCases({ create, capabilities: ${JSON.stringify(capabilities)} })${chosen}

  async function work() {
    for (let next = cases.shift(); next; next = cases.shift()) await next.run()
  }
  Promise.all(Array.from({ length: ${concurrency} }, work)).then(() => console.log('passed'))
`
