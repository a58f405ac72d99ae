/*
 * Options of every operation, whatever the settings of the collection: a replica may return old data, and a write without the
 * journal may be lost. With a signal the driver closes its connection instead of waiting.
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
