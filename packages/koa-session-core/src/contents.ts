import { types } from 'node:util'

/**
 * Remember what every object that can be reached from `value` holds. Returns a function that gives it back to the very same
 * objects, which the app may have in variables.
 */
export function contents(value: unknown): () => void {
  const restorers: (() => void)[] = []
  const found = new Set<object>()
  const visit = (one: unknown) => {
    if (typeof one === 'object' && one !== null) found.add(one)
  }
  visit(value)
  // A Set also visits the members that are added meanwhile.
  for (const one of found) {
    const restorer = restorerOf(one, visit)
    if (restorer && !Object.isFrozen(one)) restorers.push(restorer)
  }
  return () => {
    for (const restore of restorers) restore()
  }
}

/** The kinds of objects that a codec can bring back. Any other one cannot change, or its key is set to a copy. */
function restorerOf(value: object, visit: (one: unknown) => void): (() => void) | undefined {
  if (Array.isArray(value)) {
    const items = value.slice()
    items.forEach(visit)
    return () => {
      value.length = 0
      items.forEach((item, index) => {
        value[index] = item
      })
      value.length = items.length
    }
  }
  if (types.isMap(value)) {
    const entries = [...value]
    for (const entry of entries) entry.forEach(visit)
    return () => {
      value.clear()
      for (const [key, item] of entries) value.set(key, item)
    }
  }
  if (types.isSet(value)) {
    const items = [...value]
    items.forEach(visit)
    return () => {
      value.clear()
      for (const item of items) value.add(item)
    }
  }
  if (types.isDate(value)) {
    const time = value.getTime()
    return () => void value.setTime(time)
  }
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    const copy = bytes.slice()
    return () => bytes.set(copy)
  }
  if (types.isAnyArrayBuffer(value) || types.isRegExp(value) || value instanceof URL) return undefined
  const properties = Object.entries(value)
  for (const [, item] of properties) visit(item)
  return () => {
    for (const name of Object.keys(value)) Reflect.deleteProperty(value, name)
    for (const [name, item] of properties) {
      Object.defineProperty(value, name, { value: item, enumerable: true, configurable: true, writable: true })
    }
  }
}
