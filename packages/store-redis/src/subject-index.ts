import { randomBytes } from 'node:crypto'
import type { StoreCall } from 'koa-session-core'
import { untilAborted } from 'koa-session-core/store'
import type { Commands } from './clients.js'
import { addToIndex, holdsListing, readIndex, slack } from './scripts.js'

/** One place of a session in the index of its subject. */
export interface Listed {
  readonly key: string
  /** Names this place, so that taking it away takes no other. Empty in an index of an earlier version. */
  readonly listing: string
}

/** Number of index members that are checked together. */
const batch = 1_000

const memberName = /^([0-9a-f]{64})(?::([0-9a-z]+))?$/
const ignore = () => {}

/** The sessions of each subject, as a sorted set of members that say when they may be forgotten. */
export class SubjectIndex {
  readonly #client: Commands
  readonly #prefix: string

  constructor(client: Commands, prefix: string) {
    this.#client = client
    this.#prefix = prefix
  }

  /**
   * Lists `key` for twice as long as it lives now, so that a touch seldom has to, under a new listing unless it has one.
   * Gives the listing, and until when it stands.
   */
  async add(subject: string, key: string, expiresAt: number, listing = newListing()): Promise<[string, number]> {
    const until = expiresAt + (expiresAt - Date.now())
    await this.#put(subject, { key, listing }, until)
    return [listing, until]
  }

  /** Lists a session again as it was a moment ago, in case the server has lost its index. It is not awaited. */
  async restore(subject: string, listed: Listed, expiresAt: number, recordAt: string): Promise<void> {
    const isNew = await this.#put(subject, listed, expiresAt + (expiresAt - Date.now()))
    // It may have been taken away because the session ended meanwhile.
    if (isNew && Number(await holdsListing.run(this.#client, recordAt, subject, listed.listing)) === 0) {
      this.remove(subject, listed)
    }
  }

  async #put(subject: string, listed: Listed, until: number): Promise<boolean> {
    const now = Date.now()
    const args = [now - slack, Math.ceil(until - now) + slack, memberOf(listed), until]
    return Number(await addToIndex.run(this.#client, this.#at(subject), ...args)) === 1
  }

  /** Not awaited: a surplus member costs a reader one look, and expires. */
  remove(subject: string, ...listed: Listed[]): void {
    if (listed.length > 0) this.#client.call('zrem', this.#at(subject), ...listed.map(memberOf)).catch(ignore)
  }

  /** Everything listed, some perhaps more than once, in steps that hold up the server no longer than others. */
  async *members(subject: string, call: StoreCall): AsyncGenerator<Listed[]> {
    for (let place: string[] = []; ; ) {
      const args = [Date.now() - slack, batch, ...place]
      const reply = await untilAborted(call, () => readIndex.run(this.#client, this.#at(subject), ...args))
      const [score = '', ...members] = reply as string[]
      yield members.flatMap(parseMember)
      if (members.length < batch) return
      place = [members.at(-1) as string, score]
    }
  }

  #at(subject: string): string {
    return `${this.#prefix}subject:${subject}`
  }
}

/**
 * Whether the record of this listing has been written by now, if it ever will be: its writer listed it long ago. A reader
 * that takes away a younger one without a record would hide the session for good.
 */
export const isSettled = ({ listing }: Listed): boolean =>
  listing !== '' && Number.parseInt(listing.slice(0, -random), 36) <= Date.now() - slack

/** Characters at the end of a listing that tell apart those of one millisecond. */
const random = 12

const newListing = (): string => Date.now().toString(36) + randomBytes(random / 2).toString('hex')

const memberOf = ({ key, listing }: Listed): string => (listing === '' ? key : `${key}:${listing}`)

function parseMember(member: string): Listed[] {
  const [, key, listing = ''] = memberName.exec(member) ?? []
  return key === undefined ? [] : [{ key, listing }]
}
