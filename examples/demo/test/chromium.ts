import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { findChromium } from '@koa-session/test-servers'
import anyTest, { type ExecutionContext } from 'ava'
import type { Sessions } from 'koa-session-core'
import { type Browser, type Cookie, chromium, type Page, type ViewportSize } from 'playwright-core'
import { createApp } from '../dist/app.js'

const executablePath = await findChromium()

/** One browser and one address for all tests of a file. */
let browser: Browser
let site: RequestListener
const server = createServer((request, response) => site(request, response))
anyTest.before(async t => {
  t.timeout(300_000)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  if (executablePath) browser = await chromium.launch({ executablePath, args: ['--disable-gpu'], timeout: 240_000 })
})
anyTest.after.always(async () => {
  await browser?.close()
  server.close()
  server.closeAllConnections()
})

export interface Visit {
  readonly viewport?: ViewportSize
  readonly javaScriptEnabled?: boolean
  /** What the profile remembers. */
  readonly cookies?: readonly Cookie[]
}

/** A site of its own, and the browser profiles that visit it. */
export interface World {
  readonly sessions: Sessions
  /** A page in a profile of its own. */
  visitor(visit?: Visit): Promise<Page>
}

/** Profiles that no test uses. One costs half a second of computing. Without its cookies, the next page knows no visit before. */
const unused: { readonly page: Page; readonly javaScriptEnabled: boolean }[] = []
let complaints: string[] = []

async function profile(javaScriptEnabled: boolean) {
  const index = unused.findIndex(one => one.javaScriptEnabled === javaScriptEnabled)
  const [found] = index < 0 ? [] : unused.splice(index, 1)
  if (found) return found
  const baseURL = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const context = await browser.newContext({ baseURL, javaScriptEnabled })
  context.setDefaultTimeout(120_000)
  context.on('console', message => {
    if (['error', 'warning'].includes(message.type())) complaints.push(`console: ${message.text()}`)
  })
  context.on('weberror', error => complaints.push(`exception: ${error.error()}`))
  context.on('requestfailed', request => complaints.push(`failed: ${request.url()}`))
  context.on('response', response => {
    if (response.status() >= 400) complaints.push(`${response.status()}: ${response.url()}`)
  })
  return { page: await context.newPage(), javaScriptEnabled }
}

async function forget(page: Page): Promise<void> {
  const context = page.context()
  for (const tab of context.pages()) if (tab !== page) await tab.close()
  await page.emulateMedia({ colorScheme: null })
  await context.clearCookies()
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
    site = app.callback()
    complaints = []
    const used: Awaited<ReturnType<typeof profile>>[] = []
    t.teardown(async () => {
      for (const { page } of used) await (t.passed ? forget(page) : page.context().close())
      if (t.passed) unused.push(...used)
      await sessions.close()
    })
    const visitor = async ({
      viewport = { width: 900, height: 800 },
      javaScriptEnabled = true,
      cookies = [],
    }: Visit = {}) => {
      const visiting = await profile(javaScriptEnabled)
      used.push(visiting)
      const { page } = visiting
      await page.context().addCookies(cookies)
      await page.setViewportSize(viewport)
      await page.goto('/')
      return page
    }
    await run(t, { sessions, visitor })
    t.deepEqual(complaints, [])
    t.deepEqual(errors, [])
  })
}
