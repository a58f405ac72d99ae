// node internal/test-servers/dist/main.js [--only=redis,mysql] -- <command...>
// Runs a command with the URLs of private servers in its environment, and ends them after it.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { parseArgs } from 'node:util'
import { chromiumName, chromiumVariable, obtainChromium } from './chromium.js'
import { type ServerKind, serverKinds, urlVariables } from './engine.js'
import { guard } from './guard.js'
import { isCi, startServer, unavailableVariable, volatileVariable } from './provide.js'
import type { TestServer } from './server.js'
import { type Supply, supplies, UnavailableError } from './supply.js'

/** How long a command may take to end after it was asked to. */
const grace = 10_000

const say = (text: string) => process.stderr.write(`test servers: ${text}\n`)

interface Arguments {
  readonly kinds: readonly ServerKind[]
  readonly wantsChromium: boolean
  readonly command: string
  readonly args: readonly string[]
}

function readArguments(): Arguments {
  const end = process.argv.indexOf('--')
  const [command, ...args] = end < 0 ? [] : process.argv.slice(end + 1)
  const { values } = parseArgs({ args: process.argv.slice(2, end), options: { only: { type: 'string' } } })
  const all = [...serverKinds, chromiumName]
  const names = values.only?.split(',') ?? all
  if (command === undefined || !names.every(name => all.includes(name))) {
    throw new TypeError(`usage: main.ts [--only=${all.join(',')}] -- <command...>`)
  }
  const kinds = serverKinds.filter(kind => names.includes(kind))
  return { kinds, wantsChromium: names.includes(chromiumName), command, args }
}

const servers: TestServer[] = []
const environment: NodeJS.ProcessEnv = { ...process.env }

/** Gives whether all could be had. */
async function provide({ kinds, wantsChromium }: Arguments): Promise<boolean> {
  const missing = kinds.filter(kind => !environment[urlVariables[kind]])
  for (const kind of kinds) if (!missing.includes(kind)) say(`${kind}: as ${urlVariables[kind]} says`)
  // Side by side: a stand-in that is durable may be another one.
  supplies(missing)
  supplies(missing, { durable: true })
  const unavailable: string[] = []
  const tell = (name: string) => (error: unknown) => {
    if (!(error instanceof UnavailableError)) throw error
    unavailable.push(name)
    say(`\n\n${isCi() ? 'FAILED' : 'SKIPPED'}: ${error.message}\n`)
  }
  const start = async (kind: ServerKind) => {
    const server = await startServer(kind)
    servers.push(server)
    environment[urlVariables[kind]] = server.url
    say(`${kind}: ${server.label} on port ${server.port}`)
    if (server.oneWriter) say(`${kind}: it takes one writer at a time, and tests that race may hang`)
    const { label } = await (supplies([kind], { durable: true }).get(kind) as Promise<Supply>)
    if (label === server.label) return
    environment[volatileVariable] = kind
    say(`${kind}: ${label} for tests that kill it`)
  }
  const findBrowser = async () => {
    if (environment[chromiumVariable]) return say(`${chromiumName}: as ${chromiumVariable} says`)
    const { path, label } = await obtainChromium()
    environment[chromiumVariable] = path
    say(`${chromiumName}: ${label}`)
  }
  const results = await Promise.allSettled([
    ...missing.map(kind => start(kind).catch(tell(kind))),
    ...(wantsChromium ? [findBrowser().catch(tell(chromiumName))] : []),
  ])
  const failed = results.find(result => result.status === 'rejected')
  if (failed) throw failed.reason
  // All that can be installed is installed by now: the next process need not try again.
  environment.TEST_SERVERS_INSTALL = '0'
  if (unavailable.length > 0) environment[unavailableVariable] = unavailable.join()
  return unavailable.length === 0
}

const interruption = new AbortController()

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => interruption.abort(signal))
}
// A parent that was killed cannot say so.
const parent = process.ppid
setInterval(() => process.ppid !== parent && interruption.abort('SIGTERM'), 500).unref()

/** Runs the command to its end and gives its exit code. */
function runCommand({ command, args }: Arguments): Promise<number> {
  return new Promise((resolve, reject) => {
    // A process group of its own, which a signal reaches once, from here, and which can be killed as a whole.
    const child = spawn(command, args, { stdio: 'inherit', env: environment, detached: true })
    let release: (() => void) | undefined
    const toGroup = (signal: NodeJS.Signals) => {
      try {
        process.kill(-(child.pid as number), signal)
      } catch {
        // Gone.
      }
    }
    const interrupt = () => {
      toGroup(interruption.signal.reason)
      setTimeout(() => toGroup('SIGKILL'), grace).unref()
    }
    child.once('spawn', () => {
      release = guard({ pid: child.pid as number, group: true })
      if (interruption.signal.aborted) interrupt()
      else interruption.signal.addEventListener('abort', interrupt)
    })
    child.once('error', reject)
    child.once('exit', (code, signal) => {
      // Also ends processes that it left running in its group.
      toGroup('SIGKILL')
      release?.()
      resolve(code ?? 128 + constants.signals[signal ?? 'SIGKILL'])
    })
  })
}

async function main(): Promise<number> {
  const wanted = readArguments()
  try {
    const interrupted = new Promise<'interrupted'>(resolve => {
      interruption.signal.addEventListener('abort', () => resolve('interrupted'))
    })
    const complete = await Promise.race([provide(wanted), interrupted])
    if (complete === 'interrupted') return 128 + constants.signals[interruption.signal.reason as NodeJS.Signals]
    if (!complete && isCi()) return 1
    return await runCommand(wanted)
  } finally {
    await Promise.all(servers.map(server => server.end()))
  }
}

try {
  process.exitCode = await main()
} catch (error) {
  say(error instanceof Error ? `${error.message}${error.cause ? `\n${error.cause}` : ''}` : String(error))
  process.exitCode = 1
}
// The watchdog cleans up after an interrupted start.
process.exit()
