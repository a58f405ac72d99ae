import { isFull } from '@koa-session/behaviour/full'
import axe from 'axe-core'
import type { Page } from 'playwright-core'

/** Both themes, on a phone and on a desk. The theme changes no size, so each needs one of them. */
const views = [
  { colorScheme: 'light', width: 360 },
  { colorScheme: 'dark', width: 900 },
  ...(isFull
    ? ([
        { colorScheme: 'light', width: 900 },
        { colorScheme: 'dark', width: 360 },
      ] as const)
    : []),
] as const

/** The faults of the page, in any view. */
export async function faults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source)
  const found: string[] = []
  for (const { colorScheme, width } of views) {
    await page.emulateMedia({ colorScheme })
    await page.setViewportSize({ width, height: 800 })
    for (const fault of await page.evaluate<string[]>(inView)) found.push(`${colorScheme} at ${width}px: ${fault}`)
  }
  return found
}

/** Runs in the page. */
const inView = `(async () => {
  const found = []
  const { violations } = await axe.run()
  for (const { id, nodes } of violations) found.push(id + ': ' + nodes.map(node => node.target).join())

  const { scrollWidth, clientWidth } = document.documentElement
  if (scrollWidth > clientWidth) found.push('overflows by ' + (scrollWidth - clientWidth))

  // A control in a label is as large as the label.
  for (const control of document.querySelectorAll('a, button, input:not([type=hidden])')) {
    const target = control.closest('label') ?? control
    const { width, height } = target.getBoundingClientRect()
    if (width < 44 || height < 44) found.push('a small target: ' + target.textContent.trim())
  }

  const headings = [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')]
  const levels = headings.map(heading => Number(heading.localName[1]))
  if (levels.filter(level => level === 1).length !== 1) found.push('not one h1')
  for (const [index, level] of levels.entries()) {
    if (level > (levels[index - 1] ?? 0) + 1) found.push('a skipped level: ' + headings[index].textContent)
  }
  if (headings.some(heading => !heading.closest('main'))) found.push('a heading outside of main')
  return found
})()`
