/** The names of SQLite for its numbers, in the order of the numbers from 1 on. */
const codes =
  'ERROR INTERNAL PERM ABORT BUSY LOCKED NOMEM READONLY INTERRUPT IOERR CORRUPT NOTFOUND FULL CANTOPEN PROTOCOL EMPTY SCHEMA TOOBIG CONSTRAINT MISMATCH MISUSE NOLFS AUTH FORMAT RANGE NOTADB'.split(
    ' ',
  )

interface SqliteError {
  code?: unknown
  readonly errcode?: unknown
  readonly message?: unknown
}

/**
 * The code of SQLite, such as `SQLITE_BUSY`. node:sqlite gives a number in `errcode`, whose lowest byte tells the kind; the error
 * then gets the code that other drivers give.
 */
function codeOf(error: SqliteError): string {
  const name = codes[(Number(error.errcode) & 255) - 1]
  if (error.code === 'ERR_SQLITE_ERROR' && name !== undefined) error.code = `SQLITE_${name}`
  return typeof error.code === 'string' ? error.code : ''
}

/** Another connection holds a lock. The statement has changed nothing. */
export const isBusy = (error: unknown): boolean => /^SQLITE_(BUSY|LOCKED|PROTOCOL)/.test(codeOf(Object(error)))

export const isFull = (error: unknown): boolean => codeOf(Object(error)) === 'SQLITE_FULL'

export const isMissingTable = (error: unknown): boolean => /\bno such table: /.test(Object(error).message)

/** The statement names columns that the table lacks, so it has changed nothing there. */
export const isForeignTable = (error: unknown): boolean =>
  /\bno such column: |has no column named |ON CONFLICT clause does not match/.test(Object(error).message)
