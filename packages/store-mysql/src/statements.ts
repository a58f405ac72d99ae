/** Rows that `sweep` deletes with one statement, in a transaction that others may have to wait for. */
export const sweepBatch = 500

/** Keys that `keys` reads with one statement. */
export const keysBatch = 1_000

/** All columns: a statement that names each of them fails on a table of another program, and so changes nothing there. */
const allColumns =
  'data IS NOT NULL AND seen_at IS NOT NULL AND version IS NOT NULL AND (subject IS NULL OR subject IS NOT NULL)'

/**
 * One text per row: the connection's `autocommit`, because mysql2 does not tell the status that comes with rows, and after a
 * comma the values found. If nothing was, the only row is the `autocommit`. A row of one value costs mysql2 least. As text,
 * MariaDB has the variable as `ON` or `OFF`.
 */
const select = (found: string, from: string, where = ''): string => `
SELECT CONCAT_WS(',', @@autocommit + 0, ${found}) AS text FROM (SELECT 1) AS one LEFT JOIN ${from} ON ${where || 'TRUE'}`

/*
 * Each statement is one atomic step in its own transaction. It takes the caller's clock and never asks for the server's.
 *
 * A version is compared as bytes: every collation that MySQL and MariaDB share for ASCII ignores spaces at the end.
 */
export const statements = (table: string) => ({
  /** key, now. The length tells where the version ends, which may contain a comma. */
  read: select(
    "expires_at, seen_at, LENGTH(version), CONCAT(version, COALESCE(subject, '')), data",
    table,
    '`key` = ? AND expires_at > ?',
  ),

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
  version: select('version', table, '`key` = ? AND expires_at > ?'),

  /** key, now, expected. Needs no room, unlike a replacement. */
  end: `
DELETE FROM ${table} WHERE \`key\` = ? AND expires_at > ? AND CAST(version AS BINARY) = ?`,

  /** expiresAt, seenAt, key, now, expected */
  touch: `
UPDATE ${table} SET expires_at = ?, seen_at = ?
WHERE \`key\` = ? AND expires_at > ? AND CAST(version AS BINARY) = ?`,

  /** key */
  destroy: `
DELETE FROM ${table} WHERE \`key\` = ?`,

  /** the latest expiry */
  sweep: `
DELETE FROM ${table} WHERE expires_at <= ? AND ${allColumns} ORDER BY expires_at LIMIT ${sweepBatch}`,

  /** the key before, now */
  keys: select(
    '`key`',
    `(SELECT \`key\` FROM ${table} WHERE \`key\` > ? AND expires_at > ? AND ${allColumns} ORDER BY \`key\` LIMIT ${keysBatch}) AS found`,
  ),

  /** the key before, now, subject */
  keysOfSubject: select(
    '`key`',
    `(SELECT \`key\` FROM ${table} WHERE \`key\` > ? AND expires_at > ? AND subject = ? AND ${allColumns} ORDER BY \`key\` LIMIT ${keysBatch}) AS found`,
  ),
})
