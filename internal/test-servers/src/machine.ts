import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DockerImage, Launch } from './engine.js'
import { guard } from './guard.js'
import { hasStopped, isAlive, processTree, signalAll } from './processes.js'
import { run } from './run.js'

/** Runs a server, and can run it again on the same port and data. */
export interface Machine {
  readonly pid: number | undefined
  isRunning(): Promise<boolean>
  start(): Promise<void>
  signal(name: NodeJS.Signals): Promise<void>
  /** Resolves when it does not run. */
  exited(): Promise<void>
  log(): Promise<string>
  /** Gives back what it holds beside its folder. */
  dispose(): Promise<void>
}

/** A server that is a child of this process. */
export function processMachine(launch: Launch, folder: string): Machine {
  const logFile = join(folder, 'log')
  let child: ChildProcess | undefined
  const runs = () => child !== undefined && child.exitCode === null && child.signalCode === null
  return {
    get pid() {
      return runs() ? child?.pid : undefined
    },
    isRunning: async () => runs(),
    async start() {
      const { command, args, uid, gid } = launch
      const log = openSync(logFile, 'a')
      // In a process group of its own: a Ctrl-C in the terminal is for the tests, which end the servers themselves.
      const started = spawn(command, args, {
        cwd: folder,
        env: { ...process.env, ...launch.env },
        detached: true,
        stdio: ['ignore', log, log],
        ...(uid === undefined ? {} : { uid }),
        ...(gid === undefined ? {} : { gid }),
      })
      closeSync(log)
      child = started
      started.unref()
      const { pid } = started
      // At once: this process may end before the next line. Without a pid the next line rejects.
      const release = pid ? guard({ pid, ...(launch.endSignal ? { signal: launch.endSignal } : {}) }) : () => {}
      await once(started, 'spawn')
      if (runs()) started.once('exit', release)
      else release()
    },
    async signal(name) {
      const pid = runs() ? child?.pid : undefined
      if (pid === undefined) return
      if (name === 'SIGCONT') return signalAll(processTree(pid), name)
      if (name !== 'SIGKILL' && name !== 'SIGSTOP') return signalAll([pid], name)
      // Stopped first: it must not make more children while they are counted, nor tell them to go.
      signalAll([pid], 'SIGSTOP')
      const tree = processTree(pid)
      signalAll(tree, name)
      const isThrough = (one: number) => (name === 'SIGKILL' ? !isAlive(one) : hasStopped(one))
      while (!tree.every(isThrough)) await sleep(2)
    },
    async exited() {
      if (!runs() || child === undefined) return
      child.ref()
      await once(child, 'exit')
    },
    log: async () => readFileSync(logFile, 'utf8'),
    dispose: async () => {},
  }
}

/** A server in a container of the official image. */
export function dockerMachine(image: DockerImage, port: number): Machine {
  const name = `koa-session-test-${randomUUID()}`
  const docker = (...args: string[]) => run('docker', args)
  let release: (() => void) | undefined
  const isRunning = async () => (await docker('inspect', '--format', '{{.State.Running}}', name)).trim() === 'true'
  return {
    pid: undefined,
    isRunning,
    async start() {
      if (release !== undefined) {
        await docker('start', name)
        return
      }
      release = guard({ container: name })
      const environment = Object.entries(image.environment).flatMap(([key, value]) => ['--env', `${key}=${value}`])
      const publish = ['--publish', `127.0.0.1:${port}:${image.port}`]
      await docker('run', '--detach', '--name', name, ...publish, ...environment, image.image, ...image.args)
    },
    async signal(signal) {
      if (signal === 'SIGSTOP') await docker('pause', name)
      else if (signal === 'SIGCONT') await docker('unpause', name)
      else await docker('kill', '--signal', signal, name)
    },
    async exited() {
      await docker('wait', name)
    },
    log: () => docker('logs', '--tail', '50', name),
    async dispose() {
      await docker('rm', '--force', '--volumes', name)
      release?.()
    },
  }
}
