/** Whether everything is run in every combination, as `FULL=1` asks. */
export const isFull = !['', '0', 'false', undefined].includes(process.env.FULL)
