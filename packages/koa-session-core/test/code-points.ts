import fc from 'fast-check'

const [surrogates, count] = [0xd800, 0x800]

/** Any character. The unit 'binary' of fast-check is the same, and takes a second of computing to list them all. */
export const codePoint: fc.Arbitrary<string> = fc.integer({ min: 0, max: 0x10ffff - count }).map(
  n => String.fromCodePoint(n < surrogates ? n : n + count),
  text => {
    if (typeof text !== 'string' || !/^\P{Cs}$/u.test(text)) throw new Error('not one character')
    const point = Number(text.codePointAt(0))
    return point < surrogates ? point : point - count
  },
)
