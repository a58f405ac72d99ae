import { ok } from 'node:assert/strict'
import { type SessionData, type Store, session } from 'koa-session-core'
import { formsFound } from './encodings.js'

/**
 * Sign three people in on `store`, and look for their ids and subjects in what `dump` gives of its backend. Resolves to the
 * forms in which any was found. The data are sealed, because they hold the subject as well.
 */
export async function secretsFound(store: Store, dump: () => Promise<Uint8Array>): Promise<string[]> {
  const subject = (data: object) => (data as { user?: string }).user
  const sessions = session({ store, subject, encryptionKeys: [new Uint8Array(32).fill(1)] })
  const user = 'ada@example.com'
  const signedIn = await Promise.all([0, 1, 2].map(n => sessions.create({ user, n } as SessionData)))
  const dumped = Buffer.from(await dump())
  for (const { key } of signedIn) ok(dumped.includes(key), 'the dump holds every session under its key')
  return [...signedIn.map(({ id }) => id), user].flatMap(secret => formsFound(dumped, secret))
}
