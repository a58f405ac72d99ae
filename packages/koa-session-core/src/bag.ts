import { contents } from './contents.js'
import type { DataText } from './data.js'
import type { Data, GuardedCodec } from './guarded-codec.js'
import { put } from './session.js'

/** A value of the user's object, and how to give all objects inside what they held. */
interface Kept {
  readonly value: unknown
  readonly giveBack: () => void
}

/**
 * Set the keys of the user's object that differ between `from` and `to`, or those in `among`, as in `to`, skipping those that are
 * no longer as in `from`. Returns the keys it set. Both are copied: what the user's object holds may be changed inside at any time.
 */
export function transplant(
  codec: GuardedCodec,
  bag: object,
  from: DataText,
  to: DataText,
  { among, except = [] }: { readonly among?: readonly string[] | undefined; readonly except?: readonly string[] } = {},
): string[] {
  const [before, after] = [from.copy(), to.copy()]
  const names = codec.differences(before, after, among)
  const set = names.filter(name => !except.includes(name) && codec.part(bag, name) === codec.part(before, name))
  for (const name of set) put(bag, name, after)
  return set
}

/**
 * Remember the objects in the user's object, and what they hold. Returns a function that sets keys to what they were: by the
 * objects that the app knows, or as in `was` where that is not possible.
 */
export function remember(codec: GuardedCodec, bag: object): (names: Iterable<string>, was: Data) => void {
  const kept = new Map<string, Kept>()
  for (const [name, value] of Object.entries(bag)) kept.set(name, { value, giveBack: contents(value) })
  return (names, was) => {
    for (const name of names) {
      const { value, giveBack } = kept.get(name) ?? {}
      if (Object.hasOwn(was, name)) {
        try {
          ;(bag as Data)[name] = value
          giveBack?.()
        } catch {
          // It has been frozen or sealed.
        }
      }
      if (!isSame(codec, bag, name, was)) put(bag, name, was)
    }
  }
}

/** Whether the user's object has a value as in `was`. The app may have set one that cannot be encoded. */
function isSame(codec: GuardedCodec, bag: object, name: string, was: Data): boolean {
  try {
    return codec.part(bag, name) === codec.part(was, name)
  } catch {
    return false
  }
}
