/*
 * What every operation is called with, whatever the collection was opened with: what a replica reads may be old, and
 * what no journal holds may be lost. With a signal the driver gives up its connection rather than wait.
 */

const plainNumbers = { raw: false, promoteValues: true }

export const reading = (signal: AbortSignal | undefined) => ({
  readPreference: 'primary',
  ...plainNumbers,
  ...(signal && { signal }),
})

export const writing = (signal: AbortSignal | undefined) => ({
  writeConcern: { w: 'majority', journal: true },
  ...plainNumbers,
  ...(signal && { signal }),
})
