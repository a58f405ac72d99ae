// The steps of `npm test`. Each runs even if an earlier one failed, and the last line is a count.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { constants, getPriority, setPriority, tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { stripVTControlCharacters } from 'node:util'

const root = resolve(import.meta.dirname, '..')
const packed = mkdtempSync(join(tmpdir(), 'koa-session-packed-'))
const env = {
  ...process.env,
  // Some tools print colours without a terminal.
  ...(!process.stdout.isTTY && { NO_COLOR: '1' }),
  COMPILED: '1',
  PACKED: packed,
  PATH: join(root, 'node_modules', '.bin') + delimiter + process.env.PATH,
}
const total = { passed: 0, failed: 0, skipped: 0 }

const running = new Set()
let interrupted
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    interrupted = signal
    for (const child of running) child.kill(signal)
  })
}

try {
  await steps(
    ['Lint', ['biome', 'ci', '--error-on-warnings', '.']],
    ['Lockfile', ['node', 'scripts/check-lockfile.js']],
    ['Build and check types', ['tsc', '-b']],
  )
  const packages = packagesAside()
  await tests('Tests', withServers(['ava']))
  for (const report of await packages) report()
} finally {
  rmSync(packed, { recursive: true })
}

if (interrupted) process.exit(128 + constants.signals[interrupted])
if (total.skipped > 0) console.log(`\n${total.skipped} skipped`)
console.log(`\n${total.passed} passed, ${total.failed} failed`)
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0

/** Commands side by side, each of which counts as one test. */
async function steps(...commands) {
  for (const result of commands.map(command => step(...command))) (await result)()
}

/** While the tests run, which leave the processors idle now and then, and which must not wait for these. */
async function packagesAside() {
  const reports = []
  for (const [title, script] of [
    ['Packages as they would be published', 'scripts/check-packages.js'],
    ['Packages in an empty project', 'scripts/check-install.js'],
  ])
    reports.push(await step(title, ['node', script], 5))
  return reports
}

/** Resolves to a function that prints what the command said. */
async function step(title, command, priority) {
  const said = []
  const code = await run(title, command, { say: text => said.push(text), priority })
  if (code === 0) total.passed++
  else total.failed++
  return () => process.stdout.write(said.join(''))
}

/** Runs AVA and counts its lines, because its TAP reporter fails when a test file times out. */
async function tests(title, command) {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const onLine = line => {
    const text = stripVTControlCharacters(line)
    if (/^ +[✔√] /.test(text)) counts.passed++
    const [, count, what] =
      /^ +(\d+) ((?:tests?|hooks?) failed|tests? (?:skipped|todo|remained pending)|unhandled rej|uncaught ex)/.exec(
        text,
      ) ?? []
    if (count) counts[/skipped|todo/.test(what) ? 'skipped' : 'failed'] += Number(count)
  }
  const code = await run(title, command, { say: text => process.stdout.write(text), onLine })
  // A run that ended without a line of its own is a failure, and so is a run without tests.
  if (counts.failed === 0 && (code !== 0 || counts.passed === 0)) counts.failed++
  for (const name of Object.keys(counts)) total[name] += counts[name]
}

/** Private database servers for the command, if the package that starts them exists. */
function withServers(command) {
  const main = 'internal/test-servers/dist/main.js'
  return existsSync(join(root, main)) ? ['node', main, '--', ...command] : command
}

/** Resolves to the exit code. `say` receives all that is to be shown, `onLine` each line that the command prints to stdout. */
async function run(title, [command, ...args], { say, onLine, priority = getPriority() }) {
  if (interrupted) return 1
  say(`\n== ${title}: ${[command, ...args].join(' ')}\n\n`)
  const started = performance.now()
  const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  const code = await new Promise(done => {
    child.on('spawn', () => setPriority(child.pid, Math.max(priority, getPriority())))
    child.on('error', error => {
      say(`${error.message}\n`)
      done(1)
    })
    child.on('close', status => done(status ?? 1))
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', say)
    if (onLine) createInterface({ input: child.stdout }).on('line', onLine)
  })
  running.delete(child)
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  say(`\n== ${title}: ${code === 0 ? 'passed' : `failed with code ${code}`} in ${seconds} s\n`)
  return code
}
