import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { newKey, newRecord, type TestedStore } from './tested-store.js'

/** A writer's knowledge of one session. */
interface Line {
  readonly key: string
  /** Began after `mark` was called. */
  readonly isLate: boolean
  /** The version of each write that was asked for; `null`: that there be none. */
  readonly asked: (string | null)[]
  /** The number of acknowledged ones. One more may have happened. */
  acknowledged: number
}

export interface WriteLoad {
  /** Calls that failed. */
  readonly failed: number
  /** Resolves when so many further calls have been acknowledged. */
  advance(calls: number): Promise<void>
  /** From here on sessions are late. */
  mark(): void
  /** No further calls. Resolves when those under way have ended. */
  stop(): Promise<void>
  /**
   * `store` holds the last acknowledged write, or one that was asked for after it. Where `mayLose` says so, anything
   * that was ever asked for will do, except of late sessions.
   */
  verify(store: TestedStore, mayLose?: (key: string) => boolean | Promise<boolean>): Promise<void>
}

/** Creates, replaces and destroys sessions side by side. After a call that failed a writer goes on with another. */
export function writeLoad(store: TestedStore, { writers = 20 } = {}): WriteLoad {
  const lines: Line[] = []
  let acknowledged = 0
  let failed = 0
  let isLate = false
  let isStopped = false

  async function perform(line: Line, next: string | null, call: () => Promise<unknown>): Promise<void> {
    line.asked.push(next)
    const answer = await call()
    assert.notEqual(answer, false, 'nobody else writes here')
    line.acknowledged = line.asked.length
    acknowledged++
  }

  async function live(line: Line): Promise<void> {
    let expected: string | null = null
    for (let n = 0; n < 4 && !isStopped; n++) {
      const record = newRecord()
      const before: string | null = expected
      await perform(line, record.version, () => store.write(line.key, record, before))
      expected = record.version
    }
    if (lines.length % 2 && !isStopped) await perform(line, null, () => store.destroy(line.key))
  }

  async function work(): Promise<void> {
    while (!isStopped) {
      const line: Line = { key: newKey(), isLate, asked: [null], acknowledged: 1 }
      lines.push(line)
      try {
        await live(line)
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error
        failed++
        // A server that recovers is not helped by a thousand attempts in a second.
        await sleep(100)
      }
    }
  }

  const working = Promise.all(Array.from({ length: writers }, work))
  // Looked at in stop.
  working.catch(() => {})

  return {
    get failed() {
      return failed
    },
    async advance(calls) {
      const wanted = acknowledged + calls
      while (acknowledged < wanted && !isStopped) await sleep(10)
    },
    mark() {
      isLate = true
    },
    async stop() {
      isStopped = true
      await working
    },
    async verify(other, mayLose = () => false) {
      for (const { key, isLate, asked, acknowledged } of lines) {
        const found = (await other.read(key))?.version ?? null
        const allowed = asked.slice(!isLate && (await mayLose(key)) ? 0 : acknowledged - 1)
        assert.ok(allowed.includes(found), `acknowledged was ${allowed[0]}, found ${found}, of ${asked.join(', ')}`)
      }
    },
  }
}
