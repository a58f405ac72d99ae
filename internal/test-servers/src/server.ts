import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Launch, ServerKind } from './engine.js'
import { dockerMachine, type Machine, processMachine } from './machine.js'
import { freePort, host, isOpen, withNeighbours } from './ports.js'
import type { Supply } from './supply.js'
import { temporaryFolder } from './template.js'

/** A server of the tests' own. */
export interface TestServer {
  readonly kind: ServerKind
  readonly url: string
  readonly host: string
  readonly port: number
  /** Of the first process; `undefined` while it is down, and for a server in a container. */
  readonly pid: number | undefined
  /** For people: which program, which version. */
  readonly label: string
  /** It takes no more than one writer at a time. */
  readonly oneWriter: boolean
  /** `kill -9` of all its processes. Resolves when they are gone; the data stay. */
  kill(): Promise<void>
  /** Asks it to end. Resolves when it is gone; the data stay. @default what does not wait for its clients */
  stop(signal?: NodeJS.Signals): Promise<void>
  /** Starts it again on the same port and data; stops it first if it runs. Resolves when it takes work. */
  restart(): Promise<void>
  /** SIGSTOP to all its processes: connections are accepted by the system and never answered. */
  pause(): Promise<void>
  /** SIGCONT. */
  resume(): Promise<void>
  /** The log of the server. */
  log(): Promise<string>
  /** Ends it and removes its data. Idempotent. */
  end(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** How long a server may take until it answers. */
const startTimeout = 180_000
const attempts = 3

async function untilReady(machine: Machine, ping: (port: number) => Promise<boolean>, port: number): Promise<void> {
  const deadline = Date.now() + startTimeout
  for (let pause = 10; ; pause = Math.min(pause * 1.5, 200)) {
    // In this order: an answer counts only if it is not somebody else's on the same port.
    const answers = await ping(port)
    if (!(await machine.isRunning())) throw new Error(`ended at once: ${(await machine.log()).trim().slice(-2_000)}`)
    if (answers) return
    if (Date.now() > deadline)
      throw new Error(`no answer in ${startTimeout} ms: ${(await machine.log()).slice(-2_000)}`)
    await sleep(pause)
  }
}

/** Starts a server from what was found; on another port if somebody was quicker on the first. */
export async function launchServer(supply: Supply, extraArgs: readonly string[] = []): Promise<TestServer> {
  const { kind } = supply.recipe
  const further = supply.engine?.furtherPorts
  for (let attempt = 1; ; attempt++) {
    const port = await freePort(further)
    const { folder, release: releaseFolder } = await temporaryFolder(kind)
    let machine: Machine | undefined
    let launch: Pick<Launch, 'url' | 'ping' | 'endSignal'>
    try {
      if (supply.engine === undefined) {
        const image = supply.recipe.docker
        machine = dockerMachine({ ...image, args: [...image.args, ...extraArgs] }, port)
        launch = { url: image.url(port), ping: image.ping }
      } else {
        const prepared = await supply.engine.prepare(folder, port)
        machine = processMachine({ ...prepared, args: [...prepared.args, ...extraArgs] }, folder)
        launch = prepared
      }
      await machine.start()
      await untilReady(machine, launch.ping, port)
    } catch (error) {
      const hasEnded = machine !== undefined && !(await machine.isRunning().catch(() => false))
      const open = await Promise.all(withNeighbours(port, further).map(isOpen))
      const isTaken = hasEnded && open.includes(true)
      await machine?.signal('SIGKILL').catch(() => {})
      await machine?.exited().catch(() => {})
      await machine?.dispose().catch(() => {})
      await rm(folder, { recursive: true, force: true })
      releaseFolder()
      if (isTaken && attempt < attempts) continue
      // The reason is part of the message, because test runners do not show a cause.
      throw new Error(`${supply.label} did not start: ${(error as Error).message}`, { cause: error })
    }
    return testServer(supply, machine, launch, port, folder, releaseFolder)
  }
}

function testServer(
  supply: Supply,
  machine: Machine,
  { url, ping, endSignal = 'SIGKILL' }: Pick<Launch, 'url' | 'ping' | 'endSignal'>,
  port: number,
  folder: string,
  releaseFolder: () => void,
): TestServer {
  let ended: Promise<void> | undefined

  async function stop(signal = supply.recipe.stopSignal ?? 'SIGTERM') {
    await machine.signal(signal)
    // A paused process takes no other signal before it goes on.
    if (signal !== 'SIGKILL' && supply.engine) await machine.signal('SIGCONT')
    await machine.exited()
  }

  async function end() {
    await stop(endSignal).catch(() => {})
    await machine.dispose()
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    releaseFolder()
  }

  const server: TestServer = {
    kind: supply.recipe.kind,
    url,
    host,
    port,
    label: supply.label,
    oneWriter: supply.engine?.oneWriter ?? false,
    get pid() {
      return machine.pid
    },
    kill: () => stop('SIGKILL'),
    stop,
    async restart() {
      if (await machine.isRunning()) await stop()
      await machine.start()
      await untilReady(machine, ping, port)
    },
    pause: () => machine.signal('SIGSTOP'),
    resume: () => machine.signal('SIGCONT'),
    log: () => machine.log(),
    end: () => (ended ??= end()),
    [Symbol.asyncDispose]: () => server.end(),
  }
  return server
}
