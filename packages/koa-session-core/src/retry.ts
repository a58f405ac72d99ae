import { SessionError } from './errors.js'
import { setTimeout } from './waiting.js'

/** The longest pause between two attempts that lost, in milliseconds. */
const longestPause = 100

/** A random wait that doubles with each lost race, so that contenders spread out. */
export function pause(lost: number): Promise<void> {
  const wait = Math.random() * Math.min(longestPause, 2 ** Math.min(lost, 10))
  return new Promise(resolve => setTimeout(resolve, wait))
}

export const conflict = (): SessionError =>
  new SessionError('ERR_SESSION_CONFLICT', 'other requests kept changing the session until storeTimeout had passed')
