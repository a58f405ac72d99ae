import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { newKey, newRecord, type TestedStore } from './tested-store.js'

const writers = 20

/** What one writer knows of its session. */
interface Line {
  readonly key: string
  /** The version of the last acknowledged write; `null`: an acknowledged destroy. */
  known: string | null
  /** What was asked for and not acknowledged: it may have happened. */
  pending?: string | null
}

export interface WriteLoad {
  /** Resolves when so many calls have been acknowledged. */
  reaches(acknowledged: number): Promise<void>
  /** No further calls. Resolves when those under way have ended. */
  stop(): Promise<void>
  /** What `store` holds is what was acknowledged, or what was asked for next. */
  verify(store: TestedStore): Promise<void>
}

/** Creates, replaces and destroys sessions side by side until it is stopped or a call fails. */
export function writeLoad(store: TestedStore): WriteLoad {
  const lines: Line[] = []
  let acknowledged = 0
  let stopped = false

  async function perform(line: Line, next: string | null, call: () => Promise<unknown>): Promise<void> {
    line.pending = next
    await call()
    line.known = next
    delete line.pending
    acknowledged++
  }

  async function work(): Promise<void> {
    while (!stopped) {
      const line: Line = { key: newKey(), known: null }
      lines.push(line)
      let expected: string | null = null
      for (let n = 0; n < 4 && !stopped; n++) {
        const record = newRecord()
        const before = expected
        await perform(line, record.version, async () =>
          assert.equal(await store.write(line.key, record, before), true, 'nobody else writes here'),
        )
        expected = record.version
      }
      if (lines.length % 2 && !stopped) await perform(line, null, () => store.destroy(line.key))
    }
  }

  const working = Array.from({ length: writers }, () =>
    work().catch(error => {
      if (error instanceof assert.AssertionError) throw error
    }),
  )
  const ended = Promise.all(working)
  // Looked at in stop.
  ended.catch(() => {})

  return {
    async reaches(wanted) {
      while (acknowledged < wanted) await sleep(10)
    },
    async stop() {
      stopped = true
      await ended
    },
    async verify(other) {
      for (const { key, known, pending } of lines) {
        const found = (await other.read(key))?.version ?? null
        const allowed = pending === undefined ? [known] : [known, pending]
        assert.ok(allowed.includes(found), `found ${found}, acknowledged was ${known}, asked for was ${pending}`)
      }
    },
  }
}
