import type { ExecutionContext } from 'ava'

export interface Heard {
  readonly heard: (Error & { code?: string })[]
  codes(): (string | undefined)[]
  /** Warnings are emitted one turn later. */
  tick(): Promise<void>
}

/** The process warnings of one test, in a process that has not warned yet. Serial tests only: warnings are the process's. */
export function listenToWarnings(t: Pick<ExecutionContext, 'teardown'>): Heard {
  Reflect.deleteProperty(globalThis, Symbol.for('koa-session-core.warned'))
  const heard: Heard['heard'] = []
  const listen = (warning: Error) => heard.push(warning)
  process.on('warning', listen)
  t.teardown(() => process.off('warning', listen))
  return {
    heard,
    codes: () => heard.map(({ code }) => code),
    tick: () => new Promise(resolve => setImmediate(resolve)),
  }
}

/** Run `task` with NODE_ENV set to `value`, and set it back. */
export async function inEnvironment<T>(value: string, task: () => T | Promise<T>): Promise<T> {
  const before = process.env.NODE_ENV
  process.env.NODE_ENV = value
  try {
    return await task()
  } finally {
    if (before === undefined) delete process.env.NODE_ENV
    else process.env.NODE_ENV = before
  }
}
