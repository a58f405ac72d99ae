import { createCipheriv, createDecipheriv, createHash, randomBytes, scryptSync } from 'node:crypto'
import { undecodable } from './errors.js'

/** Converts between the clear text of a body and the text in the store. */
export interface Seal {
  seal(text: string, bound: string): string
  open(sealed: string, bound: string): string
}

export const noSeal: Seal = { seal: text => text, open: text => text }

/**
 * AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce. `bound` (the session's key and the clear line) is additional
 * data, so that neither can be exchanged for another. A sealed body is `<key id>.<base64url of nonce, tag, ciphertext>`.
 * The first key seals; every key opens what it sealed.
 */
export function encryption(secrets: readonly (string | Uint8Array)[]): Seal {
  const keys = new Map<string, Uint8Array>()
  for (const secret of secrets) {
    const key = typeof secret === 'string' ? scryptSync(secret, 'koa-session-core', 32) : Uint8Array.from(secret)
    keys.set(createHash('sha256').update('key id').update(key).digest('hex').slice(0, 8), key)
  }
  const [newest] = keys
  if (!newest) throw new TypeError('encryptionKeys must hold at least one key')
  const [newestId, newestKey] = newest
  return {
    seal(text, bound) {
      const nonce = randomBytes(12)
      const cipher = createCipheriv('aes-256-gcm', newestKey, nonce).setAAD(Buffer.from(newestId + bound))
      const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return `${newestId}.${Buffer.concat([nonce, cipher.getAuthTag(), sealed]).toString('base64url')}`
    },
    open(text, bound) {
      const id = text.slice(0, 8)
      const key = keys.get(id)
      const sealed = Buffer.from(text.slice(9), 'base64url')
      if (!key || text[8] !== '.' || sealed.length < 28) throw undecodable()
      try {
        const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12), { authTagLength: 16 })
        decipher.setAAD(Buffer.from(id + bound)).setAuthTag(sealed.subarray(12, 28))
        return decipher.update(sealed.subarray(28), undefined, 'utf8') + decipher.final('utf8')
      } catch {
        throw undecodable()
      }
    },
  }
}
