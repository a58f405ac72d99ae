/** Whether everything is run in every combination, as `FULL=1` asks. */
export const isFull = !['', '0', 'false', undefined].includes(process.env.FULL)

/** As many processes as show that a store is alone in none, or four. */
export const processCount = isFull ? 4 : 2
