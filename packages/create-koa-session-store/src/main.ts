#!/usr/bin/env node
import { createInterface } from 'node:readline/promises'
import { parseArgs } from 'node:util'
import { createStorePackage } from './create-store-package.js'

const help = `Writes the package of a new store for koa-session-core.

  npm create koa-session-store my-db

writes the package koa-session-store-my-db to the folder my-db.

  --name <name>   the name on npm, which may have a scope: npm create koa-session-store my-db -- --name @me/koa-session-store-my-db
  --help          shows this
`

const nextSteps = (folder: string, factory: string) => `
${factory}() is in ${folder}. What is left to do:

  cd ${folder}
  npm install
  npm test          # what fails now is what is marked by TODO
  grep -rn TODO . --exclude-dir=node_modules --exclude-dir=dist --exclude-dir=build

The last command finds what is left. Replace each TODO, in src/client.ts and src/store.ts by your driver, until all tests pass. "Writing a store" in the
documentation of koa-session-core explains what each method must and must never do.
`

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { name: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
  })
  if (values.help) {
    process.stdout.write(help)
    return
  }
  if (positionals.length > 1) throw new TypeError(`one folder is expected, got ${positionals.length}; --help shows how`)
  const folder = positionals[0] ?? (await asked())
  const { factory } = await createStorePackage({ folder, ...(values.name !== undefined && { name: values.name }) })
  process.stdout.write(nextSteps(folder, factory))
}

async function asked(): Promise<string> {
  if (!process.stdin.isTTY) throw new TypeError('the name of the store is missing: npm create koa-session-store my-db')
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  const answer = await terminal.question('Name of the store, such as my-db: ')
  terminal.close()
  return answer.trim()
}

try {
  await main()
} catch (error) {
  process.stderr.write(`create-koa-session-store: ${(error as Error).message}\n`)
  process.exitCode = 1
}
