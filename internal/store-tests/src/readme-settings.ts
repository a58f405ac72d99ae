import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { runInThisContext } from 'node:vm'

/**
 * The settings that a README passes to `call`, such as `createPool`, with an address of ours in place of `process.env.…`.
 * So tests use exactly the settings of the README.
 */
export function readmeSettings<T>(readme: URL, call: string, url: string): T {
  const text = readFileSync(readme, 'utf8')
  const [, args] = new RegExp(`${call.replace('.', '\\.')}\\(([^;]*?\\n\\})\\)\\n`).exec(text) ?? []
  assert.ok(args, `${readme.pathname} has no settings for ${call}`)
  const env = new Proxy({}, { get: () => url })
  return runInThisContext(`process => [${args}]`)({ env }) as T
}
