import { fewAtOnce } from '@koa-session/behaviour/few-at-once'
import ava, { type ExecutionContext } from 'ava'

// All tests of a long file at once would keep each other waiting for longer than storeTimeout.
const few = fewAtOnce(8)

const declare = (title: string, run: (t: ExecutionContext) => unknown) =>
  ava(title, t => few(async () => void (await run(t))))

/** Declares a test that runs beside a few others of its file, or alone by `test.serial`. */
export const test = Object.assign(declare, { serial: ava.serial })
