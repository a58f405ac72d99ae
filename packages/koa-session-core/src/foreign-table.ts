/**
 * The error of a SQL store for a table that lacks columns of a session. `error` is the server's, and names a column. Its code
 * stays.
 */
export function foreignTable(error: Error & { readonly code?: unknown }): Error {
  const message = `the table lacks columns of a session (${error.message}), so it belongs to another program: set the option table to another name`
  return Object.assign(new Error(message), { code: error.code })
}
