// Renews the pictures of the first screen in the README, after a race.
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { findChromium } from '@koa-session/test-servers'
import { chromium } from 'playwright-core'
import { createApp } from '../dist/app.js'

const docs = new URL('../../../docs/', import.meta.url)
const width = 840

const executablePath = await findChromium()
if (!executablePath) process.exit(1)
const { app, sessions } = createApp()
const server = app.listen(0, '127.0.0.1')
await once(server, 'listening')
const browser = await chromium.launch({ executablePath })
try {
  for (const colorScheme of ['light', 'dark'] as const) {
    const page = await browser.newPage({ colorScheme, viewport: { width, height: 800 } })
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    await page.getByRole('button', { name: 'Send 20 requests at once' }).click()
    await page.getByText('kept 1, lost 19').waitFor()
    await page.getByText('kept 20, lost 0').waitFor()
    const sides = await page.locator('.sides').boundingBox()
    if (!sides) throw new Error('the page shows no sides')
    const height = sides.y + sides.height + 24
    await page.screenshot({
      path: fileURLToPath(new URL(`demo-${colorScheme}.png`, docs)),
      clip: { x: 0, y: 0, width, height },
      style: 'main > section > .soft { visibility: hidden }',
    })
  }
} finally {
  await browser.close()
  server.close()
  await sessions.close()
}
