/** How long after its expiry a session stays, in milliseconds: one fast clock must not sign everybody out. */
export const sweepDelay = 3_600_000

/** Rows that `sweep` deletes with one statement, in a transaction that others may have to wait for. */
export const sweepBatch = 500

/** Keys that `keys` reads with one statement. */
export const keysBatch = 1_000

/*
 * Each is one atomic step, in a transaction of its own, and takes the caller's clock; none asks for the server's.
 *
 * A version is compared as bytes: every collation that MySQL and MariaDB share for ASCII ignores spaces at the end.
 */
export const statements = (table: string) => ({
  /** key, now */
  read: `
SELECT data, expires_at, seen_at, version, subject FROM ${table}
WHERE \`key\` = ? AND expires_at > ?`,

  /** data, expiresAt, seenAt, version, subject, key */
  insert: `
INSERT INTO ${table} (data, expires_at, seen_at, version, subject, \`key\`) VALUES (?, ?, ?, ?, ?, ?)`,

  /** data, expiresAt, seenAt, version, subject, key, now */
  replaceExpired: `
UPDATE ${table} SET data = ?, expires_at = ?, seen_at = ?, version = ?, subject = ?
WHERE \`key\` = ? AND expires_at <= ?`,

  /** data, expiresAt, seenAt, version, subject, key, now, expected */
  replace: `
UPDATE ${table} SET data = ?, expires_at = ?, seen_at = ?, version = ?, subject = ?
WHERE \`key\` = ? AND expires_at > ? AND CAST(version AS BINARY) = ?`,

  /** key, now */
  version: `
SELECT version FROM ${table} WHERE \`key\` = ? AND expires_at > ?`,

  /** expiresAt, seenAt, key, now, expected */
  touch: `
UPDATE ${table} SET expires_at = ?, seen_at = ?
WHERE \`key\` = ? AND expires_at > ? AND CAST(version AS BINARY) = ?`,

  /** key */
  destroy: `
DELETE FROM ${table} WHERE \`key\` = ?`,

  /** the latest expiry */
  sweep: `
DELETE FROM ${table} WHERE expires_at <= ? ORDER BY expires_at LIMIT ${sweepBatch}`,

  /** the key before, now */
  keys: `
SELECT \`key\` FROM ${table} WHERE \`key\` > ? AND expires_at > ? ORDER BY \`key\` LIMIT ${keysBatch}`,

  /** the key before, now, subject */
  keysOfSubject: `
SELECT \`key\` FROM ${table} WHERE \`key\` > ? AND expires_at > ? AND subject = ? ORDER BY \`key\` LIMIT ${keysBatch}`,
})
