/** Rows that one statement of `sweep` or `keys` handles while the process does nothing else. */
export const batch = 250

/**
 * Every statement that could change or show rows names all columns, so it fails on a table of another program. Such a table may
 * have the others by chance, but not this one.
 */
const isOurs = 'sweep_hour IS NOT NULL'
const allColumns = `data IS NOT NULL AND seen_at IS NOT NULL AND version IS NOT NULL AND (subject IS NULL OR subject IS NOT NULL) AND ${isOurs}`

/*
 * Each statement is one atomic step in its own transaction. It takes the caller's clock and never asks for the database's. Values
 * have no numbers, because better-sqlite3 takes `?1` for a name.
 */
export const statements = (table: string) => ({
  /**
   * key, now. One text, which is the same whatever a database makes of integers. The length tells where the version ends, which may
   * contain a comma.
   */
  read: `
SELECT expires_at || ',' || seen_at || ',' || length(version) || ',' || version || coalesce(subject, '') || ',' || data AS text
FROM ${table} WHERE key = ? AND expires_at > ? AND ${isOurs}`,

  /** key, data, expiresAt, seenAt, version, subject, now */
  create: `
INSERT INTO ${table} AS stored (key, data, expires_at, seen_at, version, subject) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET data = excluded.data, expires_at = excluded.expires_at, seen_at = excluded.seen_at,
  version = excluded.version, subject = excluded.subject
WHERE stored.expires_at <= ? AND stored.${isOurs}`,

  /** data, expiresAt, seenAt, version, subject, key, now, expected */
  replace: `
UPDATE ${table} SET data = ?, expires_at = ?, seen_at = ?, version = ?, subject = ?
WHERE key = ? AND expires_at > ? AND version = ? AND ${isOurs}`,

  /** key, now, expected. Needs no room in the table, unlike a replacement. */
  end: `
DELETE FROM ${table} WHERE key = ? AND expires_at > ? AND version = ? AND ${isOurs}`,

  /** key, now */
  version: `
SELECT version AS text FROM ${table} WHERE key = ? AND expires_at > ? AND ${isOurs}`,

  /** expiresAt, seenAt, key, now, expected */
  touch: `
UPDATE ${table} SET expires_at = ?, seen_at = ?
WHERE key = ? AND expires_at > ? AND version = ? AND ${isOurs}`,

  /** key */
  destroy: `
DELETE FROM ${table} WHERE key = ? AND ${isOurs}`,

  /** the hour of the latest expiry, the latest expiry */
  sweep: `
DELETE FROM ${table} WHERE rowid IN (
  SELECT rowid FROM ${table} WHERE sweep_hour <= ? AND expires_at <= ? AND ${allColumns} ORDER BY sweep_hour LIMIT ${batch})`,

  /** the key before, now */
  keys: `
SELECT key AS text FROM ${table} WHERE key > ? AND expires_at > ? AND ${allColumns} ORDER BY key LIMIT ${batch}`,

  /** the key before, now, subject */
  keysOfSubject: `
SELECT key AS text FROM ${table} WHERE key > ? AND expires_at > ? AND subject = ? AND ${allColumns} ORDER BY key LIMIT ${batch}`,
})
