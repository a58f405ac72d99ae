const units = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
] as const

/** So near to a unit, in milliseconds, an instant counts as one of it. */
const nearly = 30_000

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })

/** Such as "2 minutes ago" or "in 30 days". */
export function fromNow(instant: number, now = Date.now()): string {
  const distance = instant - now
  for (const [unit, length] of units) {
    if (Math.abs(distance) + nearly >= length) return relative.format(Math.round(distance / length), unit)
  }
  return distance > 0 ? 'in a moment' : 'just now'
}
