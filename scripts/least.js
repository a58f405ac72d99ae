/** The least version in a range such as `^1.2.3 || ^2.0.0`. */
export const leastOf = range => /^\^(\d+\.\d+\.\d+)/.exec(range)[1]
