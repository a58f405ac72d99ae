import { setImmediate } from './waiting.js'

let current = 0
let isCounting = false

/**
 * A number that stays the same as long as nothing else can have happened: no other request was received, and this process
 * changed no session.
 */
export function turn(): number {
  if (!isCounting) {
    isCounting = true
    setImmediate(() => {
      isCounting = false
      current++
    })
  }
  return current
}

/** Note that a session was changed. */
export function nextTurn(): void {
  current++
}
