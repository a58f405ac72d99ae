import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { findChromium } from '@koa-session/test-servers'
import anyTest, { type ExecutionContext } from 'ava'
import type { Sessions } from 'koa-session-core'
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { createApp } from '../dist/app.js'

const executablePath = await findChromium()

/** One browser for all tests of a file. */
let browser: Browser
anyTest.before(async t => {
  t.timeout(300_000)
  if (executablePath) browser = await chromium.launch({ executablePath, args: ['--disable-gpu'], timeout: 240_000 })
})
anyTest.after.always(() => browser?.close())

/** A site of its own, and the browser profiles that visit it. */
export interface World {
  readonly sessions: Sessions
  /** A page in a new profile. */
  visitor(options?: BrowserContextOptions): Promise<Page>
}

/**
 * A test in Chromium. Whatever the pages complain about is a failure of the test: an error or a warning in the console, an
 * exception, a request that fails or is refused.
 */
export function test(title: string, run: (t: ExecutionContext, world: World) => Promise<void>): void {
  const register = executablePath ? anyTest.serial : anyTest.skip
  register(title, async t => {
    t.timeout(300_000)
    const { app, sessions } = createApp()
    const errors: unknown[] = []
    app.on('error', error => errors.push(error))
    const server = app.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const baseURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const contexts: BrowserContext[] = []
    const complaints: string[] = []
    t.teardown(async () => {
      await Promise.all(contexts.map(context => context.close()))
      server.close()
      server.closeAllConnections()
      await sessions.close()
    })
    const visitor = async (options?: BrowserContextOptions) => {
      const context = await browser.newContext({ baseURL, viewport: { width: 900, height: 800 }, ...options })
      contexts.push(context)
      context.setDefaultTimeout(120_000)
      context.on('console', message => {
        if (['error', 'warning'].includes(message.type())) complaints.push(`console: ${message.text()}`)
      })
      context.on('weberror', error => complaints.push(`exception: ${error.error()}`))
      context.on('requestfailed', request => complaints.push(`failed: ${request.url()}`))
      context.on('response', response => {
        if (response.status() >= 400) complaints.push(`${response.status()}: ${response.url()}`)
      })
      const page = await context.newPage()
      await page.goto('/')
      return page
    }
    await run(t, { sessions, visitor })
    t.deepEqual(complaints, [])
    t.deepEqual(errors, [])
  })
}
