import { isFull } from '@koa-session/behaviour/full'

/** How many of so many random runs are made: a fifth, unless `FULL` is set. */
export const runs = (count: number): number => (isFull ? count : Math.ceil(count / 5))
