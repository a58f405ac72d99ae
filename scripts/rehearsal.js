// A release, rehearsed on a copy and on a registry of its own: `npm run release:rehearsal`, or with `-- --least` for Koa 2 and
// the least versions of the drivers. Prints what each store costs to install.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import * as fs from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { freePort, nodeProgram } from '../internal/test-servers/dist/index.js'
import { fillIn } from './address.js'
import { leastOf } from './least.js'

const root = resolve(import.meta.dirname, '..')
const isLeast = process.argv.includes('--least')
const temporary = fs.mkdtempSync(join(tmpdir(), 'koa-session-rehearsal-'))
const copy = join(temporary, 'copy')
const bin = join(root, 'node_modules/.bin')
const children = []

/** The package of each driver, and of its types, by store. */
const drivers = {
  'koa-session-store-file': [],
  'koa-session-store-mongo': ['mongodb'],
  'koa-session-store-mysql': ['mysql2'],
  'koa-session-store-postgres': ['pg', '@types/pg'],
  'koa-session-store-redis': ['ioredis'],
  'koa-session-store-sqlite': [],
}

let environment = process.env
const quiet = { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' }
const run = (cwd, command, ...args) => execFileSync(command, args, { cwd, env: environment, ...quiet })
/** Adds packages to a folder. Their scripts would only choose among other packages. */
const install = (cwd, ...names) => run(cwd, 'npm', 'install', '--no-audit', '--no-fund', '--ignore-scripts', ...names)
const step = title => console.log(`\n== ${title}\n`)
const json = path => JSON.parse(fs.readFileSync(path, 'utf8'))
const manifests = () =>
  fs.readdirSync(join(copy, 'packages')).map(folder => json(join(copy, 'packages', folder, 'package.json')))
const versions = () => Object.fromEntries(manifests().map(({ name, version }) => [name, version]))

try {
  step('Versions, in a copy')
  makeCopy()
  run(copy, join(bin, 'changeset'), 'version')
  fillIn(copy, 'https://example.com/owner/name')
  run(copy, 'git', 'add', '-A')
  run(copy, 'git', '-c', 'user.name=rehearsal', '-c', 'user.email=rehearsal@example.com', 'commit', '-qm', 'Version')
  console.log(versions())
  bumps()

  step('A registry')
  environment = await registry()
  run(copy, join(bin, 'tsc'), '-b', ...fs.readdirSync(join(copy, 'packages')).map(folder => `packages/${folder}`))
  console.log(stripVTControlCharacters(run(copy, join(bin, 'changeset'), 'publish')))

  step('Runtimes')
  const commands = await runtimes()
  console.log(Object.keys(commands).join(', '))

  const rows = []
  for (const [store, packages] of Object.entries(drivers)) {
    step(store)
    rows.push(await tryStore(store, packages, commands))
  }
  step('What an app installs: Koa, the core, a store and its driver')
  console.log('| store | packages | MB |\n|---|---:|---:|')
  for (const { store, count, megabytes } of rows) console.log(`| ${store} | ${count} | ${megabytes.toFixed(1)} |`)
} catch (error) {
  console.error(error.stdout || error)
  process.exitCode = 1
} finally {
  for (const child of children) child.kill()
  fs.rmSync(temporary, { recursive: true, force: true, maxRetries: 5 })
}

/** A clone of what is committed, on the modules of the repository; packages of the copy link to each other. */
function makeCopy() {
  run(root, 'git', 'clone', '-q', root, copy)
  link(join(root, 'node_modules'), join(copy, 'node_modules'))
}

function link(from, to) {
  fs.mkdirSync(to)
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)]
    if (entry.isSymbolicLink()) fs.symlinkSync(fs.readlinkSync(source), target)
    else if (entry.name.startsWith('@')) link(source, target)
    else fs.symlinkSync(source, target)
  }
}

/** A patch of a store raises that store alone. What a minor of the core raises is printed. */
function bumps() {
  const raised = (name, kind) => {
    const before = versions()
    fs.writeFileSync(join(copy, '.changeset/rehearsal.md'), `---\n'${name}': ${kind}\n---\n\nA rehearsal.\n`)
    run(copy, join(bin, 'changeset'), 'version')
    const after = Object.entries(versions()).filter(([each, version]) => before[each] !== version)
    run(copy, 'git', 'reset', '-q', '--hard')
    run(copy, 'git', 'clean', '-fdq', '--', '.changeset', 'packages')
    return after.map(([each, version]) => `${each} ${version}`)
  }
  for (const store of Object.keys(drivers)) {
    const found = raised(store, 'patch')
    if (found.length !== 1 || !found[0].startsWith(store)) throw new Error(`a patch of ${store} raises ${found}`)
  }
  console.log('A patch of a store raises that store alone.')
  console.log(`A minor of the core raises: ${raised('koa-session-core', 'minor').join(', ')}`)
}

/** Starts Verdaccio, and gives the environment in which npm uses it. */
async function registry() {
  const uplink = run(root, 'npm', 'config', 'get', 'registry').trim()
  const folder = join(temporary, 'registry')
  fs.mkdirSync(folder)
  // It asks for a tag of node-fetch that not every registry has.
  const manifest = { private: true, overrides: { 'node-fetch': '^2.7.0' } }
  fs.writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  install(folder, 'verdaccio@6')
  const port = await freePort()
  const config = {
    storage: join(folder, 'storage'),
    uplinks: { npm: { url: uplink } },
    packages: {
      'koa-session-*': { access: '$all', publish: '$all' },
      'create-koa-session-*': { access: '$all', publish: '$all' },
      '**': { access: '$all', proxy: 'npm' },
    },
    log: { type: 'stdout', level: 'fatal' },
  }
  // JSON is YAML.
  fs.writeFileSync(join(folder, 'config.yaml'), JSON.stringify(config))
  const args = ['--config', join(folder, 'config.yaml'), '--listen', `127.0.0.1:${port}`]
  const verdaccio = spawn(join(folder, 'node_modules/.bin/verdaccio'), args, { stdio: 'inherit' })
  children.push(verdaccio)
  const address = `http://127.0.0.1:${port}/`
  await eventually(() => fetch(address))
  const npmrc = join(folder, 'npmrc')
  fs.writeFileSync(npmrc, `registry=${address}\n//127.0.0.1:${port}/:_authToken=rehearsal\n`)
  return { ...process.env, npm_config_userconfig: npmrc, npm_config_registry: address }
}

async function tryStore(store, packages, commands) {
  const project = join(temporary, store)
  fs.mkdirSync(project)
  fs.writeFileSync(join(project, 'package.json'), '{ "private": true }')
  const peersOf = package_ => manifests().find(({ name }) => name === package_).peerDependencies
  const peers = { ...peersOf('koa-session-core'), ...peersOf(store) }
  const least = name => (isLeast && peers[name] ? `${name}@${leastOf(peers[name])}` : name)
  const [types, code] = [true, false].map(isTypes => packages.filter(name => name.startsWith('@types/') === isTypes))
  install(project, least('koa'), 'koa-session-core', store, ...code.map(least))
  const count = Object.keys(json(join(project, 'package-lock.json')).packages).length - 1
  const megabytes = sizeOf(join(project, 'node_modules')) / 1e6

  install(project, least('@types/koa'), '@types/node@20', ...types)
  const readme = fs.readFileSync(join(project, 'node_modules', store, 'README.md'), 'utf8')
  const [, app] = /```ts[^\n]*\n(.*?)```/s.exec(readme)
  const listening =
    "app.listen(0, '127.0.0.1').on('listening', function (this: { address(): unknown }) { console.log(JSON.stringify(this.address())) })"
  for (const name of ['app.mts', 'app.cts'])
    fs.writeFileSync(join(project, name), app.replace(/app\.listen\(3000\)/, listening))
  const settings = ['--strict', '--target', 'es2023', '--types', 'node', '--skipLibCheck', String(isLeast)]
  run(project, join(bin, 'tsc'), ...settings, '--module', 'nodenext', 'app.mts', 'app.cts')
  run(
    project,
    join(bin, 'tsc'),
    ...settings,
    '--module',
    'esnext',
    '--moduleResolution',
    'bundler',
    '--noEmit',
    'app.mts',
  )
  for (const [runtime, command] of Object.entries(commands)) {
    // Node.js 20 has no node:sqlite.
    if (store === 'koa-session-store-sqlite' && runtime.startsWith('Node.js 20.')) continue
    for (const file of ['app.mjs', 'app.cjs'])
      console.log(`${runtime}, ${file}: ${await visit(project, command, file)}`)
  }
  return { store, count, megabytes }
}

/** The commands of this Node.js, of newer ones, of Bun and of Deno. */
async function runtimes() {
  const folder = join(temporary, 'runtimes')
  fs.mkdirSync(folder)
  fs.writeFileSync(join(folder, 'package.json'), '{ "private": true }')
  install(folder, 'bun', 'deno')
  const modules = join(folder, 'node_modules')
  const program = (scope, path) => {
    const found = fs.readdirSync(join(modules, scope)).map(name => join(modules, scope, name, path))
    return found.find(file => fs.existsSync(file) && isRunnable(file))
  }
  return {
    [`Node.js ${process.versions.node}`]: [process.execPath],
    'Node.js 22': [await nodeProgram(22)],
    'Node.js 24': [await nodeProgram(24)],
    Bun: [program('@oven', 'bin/bun'), 'run'],
    Deno: [program('@deno', 'deno'), 'run', '--allow-all', '--node-modules-dir=manual'],
  }
}

function isRunnable(file) {
  fs.chmodSync(file, 0o755)
  return spawnSync(file, ['--version']).status === 0
}

/** The answers to a visitor who comes twice. */
async function visit(project, [program, ...args], file) {
  const child = spawn(program, [...args, file], { cwd: project, stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  try {
    const [text] = await Promise.race([
      once(child.stdout, 'data'),
      once(child, 'exit').then(([code]) => Promise.reject(new Error(`${file} ended with ${code}`))),
    ])
    const url = `http://127.0.0.1:${JSON.parse(text).port}`
    const first = await fetch(url)
    const cookie = first.headers
      .getSetCookie()
      .map(each => each.split(';')[0])
      .join('; ')
    const seen = [await first.text(), await (await fetch(url, { headers: { cookie } })).text()].join(', ')
    if (!/^\D*1\D*, \D*2\D*$/.test(seen)) throw new Error(`${file} answered ${seen}`)
    return seen
  } finally {
    child.kill()
  }
}

function sizeOf(folder) {
  const files = fs.readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  return files.reduce((sum, { parentPath, name }) => sum + fs.statSync(join(parentPath, name)).size, 0)
}

async function eventually(call) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call()
    } catch (error) {
      if (attempt === 300) throw error
      await new Promise(done => setTimeout(done, 200))
    }
  }
}
