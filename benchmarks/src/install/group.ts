import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { table } from '../harness/table.js'
import { versionOf } from '../harness/versions.js'

const run = promisify(execFile)

/** The packages to install, after the framework that it is counted on top of. Names of this repository are packed here. */
const installations: readonly (readonly [base: string, ...packages: string[]])[] = [
  ['koa'],
  ['koa', 'koa-session-core'],
  ['koa', 'koa-session-core', 'koa-session-store-file'],
  ['koa', 'koa-session-core', 'koa-session-store-sqlite'],
  ['koa', 'koa-session-core', 'koa-session-store-redis', 'ioredis'],
  ['koa', 'koa-session-core', 'koa-session-store-postgres', 'pg'],
  ['koa', 'koa-session-core', 'koa-session-store-mysql', 'mysql2'],
  ['koa', 'koa-session-core', 'koa-session-store-mongo', 'mongodb'],
  ['koa', 'koa-session'],
  ['express'],
  ['express', 'express-session'],
  ['express', 'express-session', 'session-file-store'],
  ['express', 'express-session', 'connect-redis', 'redis'],
  ['express', 'express-session', 'connect-pg-simple', 'pg'],
  ['express', 'express-session', 'express-mysql-session'],
  ['express', 'express-session', 'connect-mongo', 'mongodb'],
  ['fastify'],
  ['fastify', '@fastify/cookie', '@fastify/session'],
]

interface Size {
  readonly packages: number
  readonly bytes: number
}

/** Packs what this repository publishes. Gives the tarball of each name. */
async function pack(folder: string): Promise<Map<string, string>> {
  const tarballs = new Map<string, string>()
  const root = fileURLToPath(new URL('../../../packages/', import.meta.url))
  for (const name of await readdir(root)) {
    const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder]
    const { stdout } = await run('npm', args, { cwd: join(root, name) })
    const [packed] = JSON.parse(stdout) as { name: string; filename: string }[]
    if (packed) tarballs.set(packed.name, join(folder, packed.filename))
  }
  return tarballs
}

async function bytesIn(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter(entry => entry.isFile()).map(({ parentPath, name }) => stat(join(parentPath, name)))
  return (await Promise.all(files)).reduce((sum, { size }) => sum + size, 0)
}

/** Installs into an empty folder, with the peers that npm brings by itself. */
async function install(specifiers: readonly string[]): Promise<Size> {
  const folder = await mkdtemp(join(tmpdir(), 'koa-session-install-'))
  try {
    await writeFile(join(folder, 'package.json'), '{ "private": true }')
    const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline', '--loglevel=error']
    await run('npm', ['install', ...quiet, ...specifiers], { cwd: folder })
    const lock = JSON.parse(await readFile(join(folder, 'package-lock.json'), 'utf8')) as { packages: object }
    const packages = Object.keys(lock.packages).filter(path => path !== '').length
    return { packages, bytes: await bytesIn(join(folder, 'node_modules')) }
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** How many packages and megabytes `npm install` brings. */
export async function installation(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'koa-session-pack-'))
  const rows: string[][] = []
  const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1)
  try {
    const tarballs = await pack(folder)
    const specifierOf = (name: string) => tarballs.get(name) ?? `${name}@${versionOf(name)}`
    let bare: Size = { packages: 0, bytes: 0 }
    for (const names of installations) {
      const size = await install(names.map(specifierOf))
      if (names.length === 1) bare = size
      const added = [`${size.packages - bare.packages}`, mebibytes(size.bytes - bare.bytes)]
      rows.push([
        names.join(' '),
        `${size.packages}`,
        mebibytes(size.bytes),
        ...(names.length === 1 ? ['', ''] : added),
      ])
    }
  } finally {
    await rm(folder, { recursive: true })
  }
  return [
    '`npm install` of these into an empty folder, with what npm brings beside them: ours from their packed tarballs, the others in the',
    'versions above. MiB: the sizes of all files. Added: on top of the bare framework.',
    '',
    table(['npm install', 'packages', 'MiB', 'packages added', 'MiB added'], rows),
  ].join('\n')
}
