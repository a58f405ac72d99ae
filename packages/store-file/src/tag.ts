import { randomBytes } from 'node:crypto'
import { sweepDelay } from 'koa-session-core/store'

/**
 * The state of a session is the name of one empty file, its tag. A name can be replaced by another in one atomic step
 * that fails when the old one is no longer there: that is a compare-and-swap, done by the kernel.
 */
export interface Tag {
  /** The file's name, made of everything below. */
  readonly name: string
  /** Names the write that made this state. Random, never used twice, kept by a touch. */
  readonly attempt: string
  /** The attempt that this one replaced. */
  readonly previous: string
  /** Empty in a blank tag: a session about to be created. */
  readonly version: string
  readonly expiresAt: number
  readonly seenAt: number
  readonly subject?: string
  /** Names the session's entry among those of its subject. Missing in tags of the first layout, which had no entries. */
  readonly listed?: string
}

const hex16 = '[0-9a-f]{16}'
const layout1 = `${hex16}_${hex16}_${hex16}_[0-9a-f]*_[^_]+_[^_]+_[0-9a-f]*`
/** Format 2 ends with `listed`. */
const pattern = new RegExp(`^(?:1_${layout1}|2_${layout1}_${hex16})$`)

export const newAttempt = (): string => randomBytes(8).toString('hex')

/** The tag's name is bound to the key, so that a folder reached by a symbolic link is nobody else's session. */
export function makeTag(key: string, state: Omit<Tag, 'name'>): Tag {
  const { attempt, previous, version, expiresAt, seenAt, subject, listed } = state
  const hexVersion = Buffer.from(version).toString('hex')
  const parts = [key.slice(0, 16), attempt, previous, hexVersion, expiresAt, seenAt, subject ?? '']
  const name = (listed === undefined ? ['1', ...parts] : ['2', ...parts, listed]).join('_')
  return { ...state, name }
}

/** A blank tag is expired from the start: readers see no session, writers replace it, sweepers remove it. */
export function blankTag(key: string): Tag {
  return makeTag(key, { attempt: newAttempt(), previous: '0'.repeat(16), version: '', expiresAt: 0, seenAt: 0 })
}

/** The tag called `name`, or `undefined` when that is no tag of `key`. */
export function parseTag(key: string, name: string): Tag | undefined {
  if (!pattern.test(name)) return
  const [, bound, attempt = '', previous = '', version = '', expiresAt, seenAt, subject, listed] = name.split('_')
  if (bound !== key.slice(0, 16)) return
  return {
    name,
    attempt,
    previous,
    version: Buffer.from(version, 'hex').toString(),
    expiresAt: Number(expiresAt),
    seenAt: Number(seenAt),
    ...(subject && { subject }),
    ...(listed && { listed }),
  }
}

/** By the clock of this process. */
export const isSweepable = (tag: Tag): boolean => tag.expiresAt <= Date.now() - sweepDelay

/** By the clock of this process. */
export const isLive = (tag: Tag): boolean => tag.expiresAt > Date.now()
