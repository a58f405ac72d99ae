import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { patient } from '@koa-session/behaviour/patience'
import { newKey, newRecord, newWorld, type StoreCase } from './tested-store.js'

export interface ExitOptions {
  /** Exports the function `open`, an `OpenStore`. */
  readonly module: URL
  readonly url: string
}

/** Longer than any driver tries, in milliseconds. */
const patience = 30_000

/** A process that used a store has nothing else to do. */
export function exitCases({ module, url }: ExitOptions): StoreCase[] {
  const [key, record] = [newKey(), newRecord()]
  const use = `
    await store.write('${key}', ${JSON.stringify(record)}, null)
    console.log((await store.read('${key}')).version)`
  const fail = `
    await store.read('${key}').then(() => console.log('it is there'), () => console.log('it is not there'))`
  const nowhere = () => Object.assign(new URL(url), { port: '1' }).href

  return [
    {
      title: 'a process with a store that was closed ends by itself',
      run: async () => assert.equal(await outputOf(module, url, `${use}\nawait store.close()`), record.version),
    },
    {
      title: 'a process with an unclosed store ends by itself',
      run: async () => assert.equal(await outputOf(module, url, use), record.version),
    },
    {
      title: 'a process with a store whose server is not there ends by itself',
      run: async () => assert.equal(await outputOf(module, nowhere(), fail), 'it is not there'),
    },
  ]
}

/** The output of a process that opens a store and runs `script`. It must end successfully, and by itself. */
async function outputOf(module: URL, url: string, script: string): Promise<string> {
  const program = `
    import { open } from ${JSON.stringify(module.href)}
    const store = open(process.env.STORE_URL, '${newWorld()}')
    ${script}`
  const args = ['--input-type=module', '--eval', program]
  const env = { ...process.env, STORE_URL: url }
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = once(child, 'close')
  const output: Buffer[] = []
  child.stdout.on('data', chunk => output.push(chunk))
  await Promise.race([once(child.stdout, 'data'), exit])
  const stop = new AbortController()
  const late = sleep(patient(patience), undefined, { signal: stop.signal }).then(() => child.kill())
  assert.deepEqual(await exit, [0, null])
  stop.abort()
  await late.catch(() => {})
  return String(Buffer.concat(output)).trim()
}
