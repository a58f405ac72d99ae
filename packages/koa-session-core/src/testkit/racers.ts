import { AssertionError } from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { clearTimeout, elapsed, setTimeout } from '../waiting.js'
import type { Task } from './racer-tasks.js'

interface Answer {
  /** A sign of progress: how often the process met another one since its last sign. */
  readonly met?: number
  readonly value?: unknown
  readonly error?: string
  /** The rule that the store broke. */
  readonly broken?: string
}

export const failure = (message: string): AssertionError => new AssertionError({ message })

const rarely = 'The processes rarely met, so the race proves nothing. Give it more time by the option timeout'

/** Milliseconds after which fewer meetings are enough. */
const long = 1_000

/** The processes of a race. */
export class Racers {
  readonly #timeout: number
  readonly #end: number
  #children: ChildProcess[] = []
  #lastSign = elapsed()
  #onMet: (times: number) => void = () => {}

  constructor(timeout: number) {
    this.#timeout = timeout
    this.#end = elapsed() + 10 * timeout
  }

  get size(): number {
    return this.#children.length
  }

  async start(size: number, execArgv: readonly string[], args: readonly string[]): Promise<void> {
    // In the sources this module is TypeScript, and a process that runs them has a loader for it.
    const racer = new URL(import.meta.url.endsWith('.ts') ? './racer.ts' : './racer.js', import.meta.url)
    const children = Array.from({ length: size }, (_, rank) =>
      fork(fileURLToPath(racer), [...args, String(rank), String(size)], { execArgv: [...execArgv] }),
    )
    for (const child of children) child.on('error', () => {})
    this.#children = children
    await this.all('open a store by the module of the race', { name: 'open' })
  }

  /** Has the first process do something. */
  async one(what: string, task: Task): Promise<unknown> {
    const [first] = this.#children
    return this.#ask(first as ChildProcess, what, task)
  }

  /** Has every process do the same. Resolves to their answers. */
  async all(what: string, task: Task): Promise<unknown[]> {
    return Promise.all(this.#children.map(child => this.#ask(child, what, task)))
  }

  /**
   * Has the first process do one task and all others another, until they have met so many times. Resolves to their answers.
   * A third is enough if it takes long: calls that take long meet more surely.
   */
  async meet(what: string, first: Task, other: Task, times: number): Promise<unknown[]> {
    let met = 0
    let enough = times
    const racing = Promise.all(this.#children.map((child, n) => this.#ask(child, what, n === 0 ? first : other)))
    const timers: NodeJS.Timeout[] = []
    const end = new Promise<void>(resolve => {
      const look = () => {
        if (met >= enough) resolve()
      }
      this.#onMet = more => {
        met += more
        look()
      }
      const lower = () => {
        enough = Math.ceil(times / 3)
        look()
      }
      timers.push(setTimeout(lower, long), setTimeout(resolve, this.#timeout))
    })
    try {
      await Promise.race([racing, end])
      for (const child of this.#children) child.send('stop', () => {})
      const answers = await racing
      if (met < enough) throw failure(`${rarely}. They met ${met} times instead of ${enough} when they should ${what}`)
      return answers
    } finally {
      for (const timer of timers) clearTimeout(timer)
      this.#onMet = () => {}
    }
  }

  #ask(child: ChildProcess, what: string, task: Task): Promise<unknown> {
    const who = `Process ${this.#children.indexOf(child) + 1} of ${this.size} should ${what}`
    return new Promise((resolve, reject) => {
      const hear = (answer: Answer) => {
        this.#lastSign = elapsed()
        if (answer.met !== undefined) {
          this.#onMet(answer.met)
          return
        }
        stop()
        if (answer.broken !== undefined) reject(failure(answer.broken))
        else if (answer.error === undefined) resolve(answer.value)
        else reject(failure(`${who}. It failed: ${answer.error}`))
      }
      const exit = (code: number | null, signal: string | null) => {
        stop()
        reject(failure(`${who}. It ended with ${signal ?? `code ${code}`}`))
      }
      let timer: NodeJS.Timeout
      const watch = () => {
        const left = Math.min(this.#lastSign + this.#timeout, this.#end) - elapsed()
        if (left > 0) {
          timer = setTimeout(watch, left)
          return
        }
        stop()
        reject(failure(`${who} within ${this.#timeout} ms, or make progress. It does neither`))
      }
      const stop = () => {
        clearTimeout(timer)
        child.off('message', hear)
        child.off('exit', exit)
      }
      child.on('message', hear)
      child.on('exit', exit)
      if (child.exitCode !== null || child.signalCode !== null) exit(child.exitCode, child.signalCode)
      else {
        watch()
        child.send(task, error => error && exit(null, error.message))
      }
    })
  }

  /** Stops all processes, even those that never yield. */
  async end(): Promise<void> {
    await Promise.all(
      this.#children.map(async child => {
        if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
        const exited = once(child, 'exit')
        child.kill('SIGKILL')
        await exited
      }),
    )
  }
}
