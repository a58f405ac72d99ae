// The steps of `npm test`. Each runs even if an earlier one failed, and the last line is a count.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { stripVTControlCharacters } from 'node:util'

const root = resolve(import.meta.dirname, '..')
const packed = mkdtempSync(join(tmpdir(), 'koa-session-packed-'))
const env = {
  ...process.env,
  // Some tools print colours without a terminal.
  ...(!process.stdout.isTTY && { NO_COLOR: '1' }),
  PACKED: packed,
  PATH: join(root, 'node_modules', '.bin') + delimiter + process.env.PATH,
}
const total = { passed: 0, failed: 0, skipped: 0 }

let running
let interrupted
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    interrupted = signal
    running?.kill(signal)
  })
}

try {
  await step('Lint', ['biome', 'ci', '--error-on-warnings', '.'])
  await step('Lockfile', ['node', 'scripts/check-lockfile.js'])
  await step('Build and check types', ['tsc', '-b'])
  await tests('Tests', withServers(['ava']))
  await step('Packages as they would be published', ['node', 'scripts/check-packages.js'])
  await step('Packages in an empty project', ['node', 'scripts/check-install.js'])
} finally {
  rmSync(packed, { recursive: true })
}

if (interrupted) process.exit(128 + constants.signals[interrupted])
if (total.skipped > 0) console.log(`\n${total.skipped} skipped`)
console.log(`\n${total.passed} passed, ${total.failed} failed`)
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0

/** One command that counts as one test. */
async function step(title, command) {
  const code = await run(title, command)
  if (code === 0) total.passed++
  else total.failed++
}

/** Runs AVA and counts its lines, because its TAP reporter fails when a test file times out. */
async function tests(title, command) {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const code = await run(title, command, line => {
    const text = stripVTControlCharacters(line)
    if (/^ +[✔√] /.test(text)) counts.passed++
    const [, count, what] =
      /^ +(\d+) ((?:tests?|hooks?) failed|tests? (?:skipped|todo|remained pending)|unhandled rej|uncaught ex)/.exec(
        text,
      ) ?? []
    if (count) counts[/skipped|todo/.test(what) ? 'skipped' : 'failed'] += Number(count)
  })
  // A run that ended without a line of its own is a failure, and so is a run without tests.
  if (counts.failed === 0 && (code !== 0 || counts.passed === 0)) counts.failed++
  for (const name of Object.keys(counts)) total[name] += counts[name]
}

/** Private database servers for the command, if the package that starts them exists. */
function withServers(command) {
  const main = 'internal/test-servers/dist/main.js'
  return existsSync(join(root, main)) ? ['node', main, '--', ...command] : command
}

/** Resolves to the exit code. `onLine` receives each line that the command prints to stdout. */
async function run(title, [command, ...args], onLine) {
  if (interrupted) return 1
  console.log(`\n== ${title}: ${[command, ...args].join(' ')}\n`)
  const started = performance.now()
  running = spawn(command, args, { cwd: root, env, stdio: ['ignore', onLine ? 'pipe' : 'inherit', 'inherit'] })
  if (onLine) {
    createInterface({ input: running.stdout }).on('line', line => {
      console.log(line)
      onLine(line)
    })
  }
  const code = await new Promise(done => {
    running.on('error', error => {
      console.error(error.message)
      done(1)
    })
    running.on('close', status => done(status ?? 1))
  })
  const seconds = ((performance.now() - started) / 1000).toFixed(1)
  console.log(`\n== ${title}: ${code === 0 ? 'passed' : `failed with code ${code}`} in ${seconds} s`)
  return code
}
