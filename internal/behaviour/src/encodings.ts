/**
 * The forms in which a secret could be found in a dump. Base64 looks different at each of three positions in the text
 * around it, so of each the part that does not depend on its neighbours.
 */
export function encodingsOf(secret: string): Map<string, Buffer> {
  const bytes = Buffer.from(secret)
  const forms = new Map([
    ['as it is', bytes],
    ['percent-encoded', Buffer.from([...bytes].map(byte => `%${byte.toString(16)}`).join(''))],
    ['backwards', Buffer.from(bytes).reverse()],
    ['UTF-16LE', Buffer.from(secret, 'utf16le')],
    ['UTF-16BE', Buffer.from(secret, 'utf16le').swap16()],
  ])
  const texts = (name: string, source: Buffer) => {
    forms.set(`${name}in hex`, Buffer.from(source.toString('hex')))
    forms.set(`${name}in upper-case hex`, Buffer.from(source.toString('hex').toUpperCase()))
    for (let before = 0; before < 3; before++) {
      const shifted = Buffer.concat([Buffer.alloc(before), source])
      for (const encoding of ['base64', 'base64url'] as const) {
        const text = shifted.toString(encoding).slice(before === 0 ? 0 : before + 1)
        forms.set(`${name}in ${encoding} after ${before} bytes`, Buffer.from(text.slice(0, -4)))
      }
    }
  }
  texts('', bytes)
  const raw = Buffer.from(secret, 'base64url')
  // An id is text of 32 bytes, which could also be stored as they are.
  if (/^[\w-]{43}$/.test(secret)) {
    forms.set('decoded', raw)
    texts('decoded, ', raw)
  }
  return forms
}

/** In which forms `secret` is found in `dump`; none, if all is well. */
export function formsFound(dump: Uint8Array, secret: string): string[] {
  const haystack = Buffer.from(dump.buffer, dump.byteOffset, dump.length)
  return [...encodingsOf(secret)].filter(([, form]) => haystack.includes(form)).map(([name]) => name)
}
