/** A session is deleted this many milliseconds after its expiry, so that one fast clock signs nobody out. */
export const sweepDelay = 3_600_000
