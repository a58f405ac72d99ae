import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { newKey, newRecord, newWorld, type StoreCase } from './tested-store.js'

export interface ExitOptions {
  /** Exports the function `open`, an `OpenStore`. */
  readonly module: URL
  readonly url: string
}

/** A process that used a store has nothing else to do. */
export function exitCases({ module, url }: ExitOptions): StoreCase[] {
  const ends = { 'that was closed': 'await store.close()', 'that nobody closed': '' }
  return Object.entries(ends).map(([what, end]) => ({
    title: `a process with a store ${what} ends by itself`,
    async run() {
      const [key, record] = [newKey(), newRecord()]
      const script = `
        import { open } from ${JSON.stringify(module.href)}
        const store = open(process.env.STORE_URL, '${newWorld()}')
        await store.write('${key}', ${JSON.stringify(record)}, null)
        console.log((await store.read('${key}')).version)
        ${end}`
      const args = ['--import=tsx', '--conditions=@koa-session/source', '--input-type=module', '--eval', script]
      const env = { ...process.env, STORE_URL: url }
      const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
      const exit = once(child, 'close')
      const output: Buffer[] = []
      child.stdout.on('data', chunk => output.push(chunk))
      await Promise.race([once(child.stdout, 'data'), exit])
      const stop = new AbortController()
      // Less than a driver takes to end idle connections by itself: ten seconds with pg.
      const late = sleep(8_000, undefined, { signal: stop.signal }).then(() => child.kill())
      assert.deepEqual(await exit, [0, null])
      stop.abort()
      await late.catch(() => {})
      assert.equal(String(Buffer.concat(output)).trim(), record.version)
    },
  }))
}
