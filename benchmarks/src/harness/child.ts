import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { cores, onCore } from './cores.js'

export interface ChildOptions {
  readonly core?: string
  readonly env?: NodeJS.ProcessEnv
  /** Flags of Node. */
  readonly flags?: readonly string[]
}

/**
 * A process that is measured, without a loader of TypeScript: loaders name every closure, which costs more than a session.
 */
export class Child {
  readonly process: ChildProcess

  constructor(file: URL, args: readonly string[], { core = cores.server, env = {}, flags = [] }: ChildOptions = {}) {
    const [command, commandArgs] = onCore(core, ['--no-warnings', ...flags, fileURLToPath(file), ...args])
    this.process = spawn(command, commandArgs, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, NODE_ENV: 'production', NODE_OPTIONS: '', ...env },
    })
  }

  /** The next message. */
  async answer<T>(): Promise<T> {
    const over = new AbortController()
    const ended = once(this.process, 'exit', { signal: over.signal }).then(([code, signal]) => {
      throw new Error(`${this.process.spawnargs.slice(-2).join(' ')} ended (${code ?? signal}) before it answered`)
    })
    try {
      return (await Promise.race([once(this.process, 'message', { signal: over.signal }), ended]))[0]
    } finally {
      ended.catch(() => undefined)
      over.abort()
    }
  }

  ask<T>(question: unknown): Promise<T> {
    const answer = this.answer<T>()
    this.process.send(question as object)
    return answer
  }

  async end(): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return
    const exit = once(this.process, 'exit')
    if (this.process.connected) this.process.disconnect()
    else this.process.kill()
    await exit
  }
}
