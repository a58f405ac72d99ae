/**
 * `derive`, which gives the same text for the same text whenever it is asked, with a memory for at least the last `most` texts and at
 * most twice as many.
 */
export function remembering(derive: (text: string) => string, most = 5_000): (text: string) => string {
  let recent = new Map<string, string>()
  let earlier = new Map<string, string>()
  return text => {
    const known = recent.get(text)
    if (known !== undefined) return known
    const derived = earlier.get(text) ?? derive(text)
    if (recent.size === most) {
      earlier = recent
      recent = new Map()
    }
    recent.set(copyOf(text), derived)
    return derived
  }
}

/** In V8 a part of a header would keep the whole header in memory. */
const copyOf = (text: string): string => Buffer.from(text).toString()
