import { AssertionError } from 'node:assert/strict'

/*
 * Time for bounds that also hold beside other processes. A bound on the wall clock is red when the machine is busy; one
 * wide enough for that finds nothing. So the clock here counts only time in which this process had its turn, and bounds
 * grow by how slow the machine was when the process began.
 */

/** How often the clock looks, in milliseconds. */
const step = 10
/** How many milliseconds of work the calibration takes. */
const calibration = 20
const slowest = 20

/** How many times longer than on an idle machine work took when this process began: 1 or more. */
export const slowness = calibrated()

function calibrated(): number {
  const began = performance.now()
  let [last, worked] = [began, 0]
  while (worked < calibration && last - began < calibration * slowest) {
    const now = performance.now()
    // Only others can hold up the next look for so long.
    if (now - last < 0.5) worked += now - last
    last = now
  }
  return Math.min(slowest, (last - began) / worked)
}

/** `milliseconds` of an idle machine, on this one. */
export const patient = (milliseconds: number): number => Math.ceil(milliseconds * slowness)

/** A clock that counts only time in which its process had its turn. It is looked at about every ten milliseconds. */
export class Clock {
  #elapsed = 0
  #last: number

  constructor(now: number) {
    this.#last = now
  }

  /** The milliseconds counted until `now`. */
  look(now: number): number {
    // A look that comes later than the next one should was held up by others, or by work of our own.
    this.#elapsed += Math.min(now - this.#last, 2 * step)
    this.#last = now
    return this.#elapsed
  }
}

const clock = new Clock(performance.now())
const look = (): number => clock.look(performance.now())

setInterval(look, step).unref()

/** Starts a watch: it tells how many milliseconds have passed, without those in which this process had to wait. */
export function stopwatch(): () => number {
  const began = look()
  return () => look() - began
}

/** Resolves to the value of `work`, and to the milliseconds it took by the stopwatch. */
export async function timed<T>(work: () => Promise<T>): Promise<{ result: T; took: number }> {
  const watch = stopwatch()
  const result = await work()
  return { result, took: watch() }
}

/** Settles like `work`. Rejects with `message` if it takes longer than `milliseconds`, measured patiently. */
export async function within<T>(milliseconds: number, work: Promise<T>, message: string): Promise<T> {
  const watch = stopwatch()
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setInterval(() => {
      if (watch() > patient(milliseconds)) reject(new AssertionError({ message }))
    }, step)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearInterval(timer)
  }
}
