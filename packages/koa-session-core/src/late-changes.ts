import type { Entry } from './entry.js'
import type { GuardedCodec } from './guarded-codec.js'
import type { Reply } from './reply.js'
import { setTimeout } from './waiting.js'

/** How long a change may wait for `save`, in milliseconds. */
const patience = 1_000

/** How many sessions are still compared. It costs as much as a commit, and who makes this mistake makes it early. */
let left = 100

/** Call `report` if the app, which takes the session when the commit is over, sets a property and does not save it. */
export function watchLateChanges(entry: Entry, codec: GuardedCodec, reply: Reply, report: () => void): void {
  if (left === 0) return
  left--
  const before = textOf(entry, codec)
  const compare = () => {
    const now = textOf(entry, codec)
    if (now !== before && !entry.over && !entry.lost && entry.dirty()) report()
  }
  reply.whenOver(() => setTimeout(compare, patience).unref())
}

function textOf({ bag }: Entry, codec: GuardedCodec): string | undefined {
  try {
    return bag && codec.encodeData(bag)
  } catch {
    // A commit says what cannot be encoded.
    return undefined
  }
}
