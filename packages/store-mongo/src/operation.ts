/*
 * What every operation is called with, whatever the collection was opened with: what a replica reads may be old, and
 * what no journal holds may be lost. With a signal the driver gives up its connection rather than wait.
 */

export const reading = (signal: AbortSignal | undefined) => ({
  readPreference: 'primary',
  raw: false,
  promoteValues: true,
  ...(signal && { signal }),
})

export const writing = (signal: AbortSignal | undefined) => ({
  writeConcern: { w: 'majority', journal: true },
  ...(signal && { signal }),
})
