import { existsSync, readFileSync } from 'node:fs'

/** The version of a package as the benchmarks find it. */
export function versionOf(name: string): string | undefined {
  for (const folder of ['../../node_modules/', '../../../node_modules/']) {
    const file = new URL(`${folder}${name}/package.json`, import.meta.url)
    if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')).version
  }
  return undefined
}
