// Installs the tarballs in the folder PACKED into an empty project, type-checks an app there and runs it, by `import` and
// by `require`. FULL=1 installs the peers as well, does so once more with their least versions, and compiles with more versions
// of TypeScript.
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { leastOf } from './least.js'

const { PACKED } = process.env
if (!PACKED) throw new Error('PACKED must name the folder with the tarballs')

const root = resolve(import.meta.dirname, '..')
const isFull = !['', '0', 'false', undefined].includes(process.env.FULL)
const project = mkdtempSync(join(tmpdir(), 'koa-session-project-'))
const run = (command, ...args) => execFileSync(command, args, { cwd: project, stdio: 'inherit' })
const tarballs = readdirSync(PACKED).map(name => join(PACKED, name))

try {
  writeFileSync(join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  // Packages of the repository are in npm's cache, so this needs the network only if the cache is gone.
  const install = ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts']
  const names = ['koa', '@koa/router', '@types/koa', '@types/node', '@types/pg', 'ioredis', 'mongodb', 'mysql2', 'pg']
  const typescript = 'typescript@~5.4.0'
  if (isFull) run('npm', ...install, ...tarballs, ...names.map(name => `${name}@${installedVersion(name)}`), typescript)
  else {
    run('npm', ...install, '--legacy-peer-deps', ...tarballs, typescript)
    for (const name of names) borrow(name)
  }

  copyFileSync(join(root, 'scripts/consumer.ts'), join(project, 'consumer.ts'))
  for (const name of readdirSync(join(project, 'node_modules')).filter(one => one.startsWith('koa-session-store-'))) {
    const { dependencies = {} } = JSON.parse(readFileSync(join(project, 'node_modules', name, 'package.json'), 'utf8'))
    if (Object.keys(dependencies).length > 0)
      throw new Error(`${name} brings more than itself: peers are the app's choice`)
  }
  run(join(root, 'node_modules/.bin/tsc'), '--strict', '--target', 'es2023', '--module', 'nodenext', 'consumer.ts')
  for (const how of ['import', 'require']) run('node', 'consumer.js', how)
  quickstart()
  const peers = peerRanges()
  if (isFull) leastPeers(peers)

  const commonjs = join(project, 'commonjs')
  mkdirSync(commonjs)
  writeFileSync(join(commonjs, 'package.json'), JSON.stringify({ type: 'commonjs' }))
  copyFileSync(join(root, 'scripts/consumer-node10.ts'), join(commonjs, 'consumer.ts'))
  const node10 = ['--strict', '--target', 'es2022', '--module', 'commonjs', '--moduleResolution', 'node10']
  for (const version of isFull ? ['5.4', '5.9'] : ['5.4']) {
    if (version !== '5.4')
      run('npm', 'install', '--prefer-offline', '--no-audit', '--no-fund', '--no-save', `typescript@~${version}.0`)
    const compiler = join(project, 'node_modules/typescript/bin/tsc')
    run('node', compiler, ...node10, '--esModuleInterop', '--skipLibCheck', join(commonjs, 'consumer.ts'))
    run('node', join(commonjs, 'consumer.js'))
  }
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
} finally {
  rmSync(project, { recursive: true })
}

/** The app that the documentation tells to copy. */
function quickstart() {
  for (const variant of ['javascript', 'typescript']) {
    cpSync(join(root, 'examples/quickstart', variant), join(project, variant), { recursive: true })
  }
  const settings = ['--strict', '--skipLibCheck', '--noEmit', '--target', 'es2023', '--module', 'nodenext']
  run(join(root, 'node_modules/.bin/tsc'), ...settings, 'typescript/app.ts')
  const program = "await import('./javascript/app.js'); setTimeout(() => process.emit('SIGTERM'), 200)"
  execFileSync('node', ['--input-type=module', '--eval', program], {
    cwd: project,
    env: { ...process.env, PORT: '0' },
    stdio: 'inherit',
  })
}

/** npm refuses versions out of range here. The types of old drivers no longer compile, hence `skipLibCheck`. */
function leastPeers(ranges) {
  const least = join(project, 'least')
  mkdirSync(least)
  writeFileSync(join(least, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  copyFileSync(join(root, 'scripts/consumer.ts'), join(least, 'consumer.ts'))
  const inLeast = (command, ...args) => execFileSync(command, args, { cwd: least, stdio: 'inherit' })
  const others = ['@types/node', '@types/pg'].map(name => `${name}@${installedVersion(name)}`)
  const peers = ranges.map(([name, range]) => `${name}@${leastOf(range)}`)
  inLeast(
    'npm',
    'install',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    ...tarballs,
    ...peers,
    ...others,
  )
  const compiler = join(root, 'node_modules/.bin/tsc')
  inLeast(compiler, '--strict', '--skipLibCheck', '--target', 'es2023', '--module', 'nodenext', 'consumer.ts')
  for (const how of ['import', 'require']) inLeast('node', 'consumer.js', how)
}

/** The peers of the packages other than each other. Each README must name the oldest version. */
function peerRanges() {
  const ranges = []
  for (const folder of readdirSync(join(root, 'packages'))) {
    const { peerDependencies = {} } = JSON.parse(readFileSync(join(root, 'packages', folder, 'package.json'), 'utf8'))
    const readme = readFileSync(join(root, 'packages', folder, 'README.md'), 'utf8')
    for (const [name, range] of Object.entries(peerDependencies).filter(([peer]) => peer !== 'koa-session-core')) {
      ranges.push([name, range])
      const version = leastOf(range).replace(/\.0$/, '')
      if (!readme.includes(`${name} ${version}`))
        throw new Error(`the README of ${folder} must name ${name} ${version}`)
    }
  }
  return ranges
}

/** A peer as it is in the repository, whose `npm ci` has found it in range: to install it would take half of this check. */
function borrow(name) {
  const place = join(project, 'node_modules', name)
  mkdirSync(dirname(place), { recursive: true })
  symlinkSync(join(root, 'node_modules', name), place, 'junction')
}

function installedVersion(name) {
  return JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version
}
