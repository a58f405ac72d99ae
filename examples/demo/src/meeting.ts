import { setTimeout } from 'node:timers/promises'

/** How long to wait for a request that does not come, in milliseconds. */
const patience = 30_000

interface Meeting {
  arrived: number
  readonly begin: AbortController
  readonly begun: Promise<void>
}

/** Requests that wait for each other, by visitor. With it a race ends the same however busy the machine is. */
export class Meetings {
  readonly #meetings = new Map<string, Meeting>()

  /** Resolves when `expected` requests of the visitor have arrived, or at `goOn`. */
  async arrive(visitor: string, expected: number): Promise<void> {
    const meeting = this.#meetings.get(visitor) ?? newMeeting()
    this.#meetings.set(visitor, meeting)
    if (++meeting.arrived === expected) meeting.begin.abort()
    await meeting.begun
    this.#meetings.delete(visitor)
  }

  goOn(visitor: string): void {
    this.#meetings.get(visitor)?.begin.abort()
  }
}

function newMeeting(): Meeting {
  const begin = new AbortController()
  const begun = setTimeout(patience, undefined, { signal: begin.signal, ref: false }).catch(() => {})
  return { arrived: 0, begin, begun }
}
