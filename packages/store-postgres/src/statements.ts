import { createHash } from 'node:crypto'

/** A statement that a connection prepares once, under a name that means this text to everybody. */
export class Statement {
  readonly name: string
  readonly text: string

  constructor(text: string) {
    this.text = text
    this.name = `koa_session_${createHash('sha256').update(text).digest('base64url').slice(0, 22)}`
  }
}

/** Rows that `sweep` deletes, and keys that `keys` reads, with one statement. */
export const batch = 1_000

/** All columns: a statement that names each of them fails on a table of another program, and so changes nothing there. */
const allColumns =
  'key IS NOT NULL AND data IS NOT NULL AND seen_at IS NOT NULL AND version IS NOT NULL AND (subject IS NULL OR subject IS NOT NULL)'

/*
 * Each statement is one atomic step in its own transaction. It takes the caller's clock and never asks for the server's.
 *
 * A write that finds its own version was sent twice. It keeps the stored times, because a touch may have come in between.
 */
export const statements = (table: string) => ({
  /**
   * key, now. One text, because a row of one value costs pg least. The length tells where the version ends, which may contain a
   * comma.
   */
  read: new Statement(`
SELECT concat_ws(',', expires_at, seen_at, length(version), concat(version, subject), data) AS text FROM ${table}
WHERE key = $1 AND expires_at > $2`),

  /** key, data, expiresAt, seenAt, version, subject, now */
  create: new Statement(`
INSERT INTO ${table} AS stored (key, data, expires_at, seen_at, version, subject) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (key) DO UPDATE SET data = excluded.data, version = excluded.version, subject = excluded.subject,
  expires_at = CASE WHEN stored.expires_at > $7 THEN stored.expires_at ELSE excluded.expires_at END,
  seen_at = CASE WHEN stored.expires_at > $7 THEN stored.seen_at ELSE excluded.seen_at END
WHERE stored.expires_at <= $7 OR stored.version = excluded.version`),

  /** key, data, expiresAt, seenAt, version, subject, now, expected */
  replace: new Statement(`
UPDATE ${table} SET data = $2, version = $5, subject = $6,
  expires_at = CASE WHEN version = $5 THEN expires_at ELSE $3 END,
  seen_at = CASE WHEN version = $5 THEN seen_at ELSE $4 END
WHERE key = $1 AND expires_at > $7 AND version IN ($5, $8)`),

  /** key, now, expected. Needs no room, unlike a replacement. */
  end: new Statement(`
DELETE FROM ${table} WHERE key = $1 AND expires_at > $2 AND version = $3`),

  /** key, now */
  version: new Statement(`
SELECT version FROM ${table} WHERE key = $1 AND expires_at > $2`),

  /** key, expiresAt, seenAt, now, expected */
  touch: new Statement(`
UPDATE ${table} SET expires_at = $2, seen_at = $3
WHERE key = $1 AND expires_at > $4 AND version = $5`),

  /** key */
  destroy: new Statement(`
DELETE FROM ${table} WHERE key = $1`),

  /**
   * the latest expiry. Skips rows that are being written. In the order of the index, so that no plan scans the table. The rows are
   * locked, so they stay at their ctid, by which they are deleted without a second search. Partitions may have rows at the same
   * ctid, and then expired ones go too.
   */
  sweep: new Statement(`
DELETE FROM ${table} WHERE expires_at <= $1 AND ${allColumns} AND ctid = ANY(ARRAY(
  SELECT ctid FROM ${table} WHERE sweep_hour <= $1 / 3600000 AND expires_at <= $1
  ORDER BY sweep_hour LIMIT ${batch} FOR UPDATE SKIP LOCKED))`),

  /** the latest expiry. Sweeps a table of an earlier version, which has no `sweep_hour`, but an index on `expires_at`. */
  sweepOld: new Statement(`
DELETE FROM ${table} WHERE expires_at <= $1 AND ${allColumns} AND ctid = ANY(ARRAY(
  SELECT ctid FROM ${table} WHERE expires_at <= $1 ORDER BY expires_at LIMIT ${batch} FOR UPDATE SKIP LOCKED))`),

  /** the key before, now */
  keys: new Statement(`
SELECT key FROM ${table} WHERE key > $1 AND expires_at > $2 AND ${allColumns} ORDER BY key LIMIT ${batch}`),

  /** the key before, now, subject */
  keysOfSubject: new Statement(`
SELECT key FROM ${table} WHERE key > $1 AND expires_at > $2 AND subject = $3 AND ${allColumns} ORDER BY key LIMIT ${batch}`),
})
