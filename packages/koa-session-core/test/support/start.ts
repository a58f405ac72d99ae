import { type Around, Browser, Site } from '@koa-session/behaviour'
import type { ExecutionContext } from 'ava'
import { memoryStore, type SessionOptions } from 'koa-session-core'

/** A site on a memory store of its own for the time of one test, whose handlers are functions in it, and a browser. */
export async function start(t: Pick<ExecutionContext, 'teardown'>, options: SessionOptions = {}, around: Around = {}) {
  const site = await Site.start({ store: memoryStore(), ...options }, around)
  t.teardown(() => site.close())
  return { site, store: site.store, browser: new Browser(site) }
}

/** A browser with a session that holds `data`. */
export async function begun(
  t: Pick<ExecutionContext, 'teardown'>,
  options: SessionOptions = {},
  data: object = { n: 0 },
) {
  const started = await start(t, options)
  await started.browser.visit(page => {
    page.session = data
  })
  started.store.calls.length = 0
  return started
}

/** The error codes of what was reported. */
export const codes = (errors: readonly unknown[]): unknown[] => errors.map(error => (error as { code?: unknown }).code)
