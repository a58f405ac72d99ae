// A round in which a busy machine let nothing through has no figure per request.
const sorted = (values: readonly number[]): number[] => values.filter(Number.isFinite).toSorted((a, b) => a - b)

/** Between the two nearest values where there is none at this place. */
export function quantile(values: readonly number[], part: number): number {
  const ascending = sorted(values)
  const place = Math.max(ascending.length - 1, 0) * part
  const below = ascending[Math.floor(place)] ?? Number.NaN
  const above = ascending[Math.ceil(place)] ?? Number.NaN
  return below + (above - below) * (place - Math.floor(place))
}

export const median = (values: readonly number[]): number => quantile(values, 0.5)

/** The median and, behind it, the range of the middle half. */
export function spread(values: readonly number[], digits = 2): string {
  const [low, middle, high] = [0.25, 0.5, 0.75].map(part => quantile(values, part).toFixed(digits))
  return `${middle} (${low}–${high})`
}
