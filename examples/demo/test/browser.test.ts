import { isFull } from '@koa-session/behaviour/full'
import type { ExecutionContext } from 'ava'
import type { Page } from 'playwright-core'
import { faults } from './accessibility.js'
import { test } from './chromium.js'

const button = (page: Page, name: string | RegExp) => page.getByRole('button', { name, exact: true })
const results = async (page: Page) => {
  const [ordinary, ours] = await Promise.all(['#ordinary.wrong', '#ours.right'].map(side => page.innerText(side)))
  return { ordinary, ours }
}
const devices = (page: Page) => page.locator('#devices li span').allInnerTexts()

async function signIn(page: Page, { remember = false } = {}) {
  await page.getByLabel('Name').fill('Ada')
  await page.getByLabel('Remember me').setChecked(remember)
  await button(page, 'Sign in').click()
  await page.getByText('Signed in as Ada').first().waitFor()
}

/** Signs the same user in on another device, with the name of this browser. */
async function signInElsewhere(page: Page) {
  const { status } = await fetch(new URL('/sign-in', page.url()), {
    method: 'POST',
    headers: { 'User-Agent': await page.evaluate<string>('navigator.userAgent') },
    body: new URLSearchParams({ user: 'Ada' }),
    redirect: 'manual',
  })
  if (status !== 303) throw new Error(`the sign-in was answered with ${status}`)
}

const kept = /^kept 1, lost 19\nEach request saved its own copy/

test('the first button shows live, without loading the page, what each kind of session keeps', async (t, {
  visitor,
}) => {
  const page = await visitor()
  // Gone if the page is loaded again.
  await page.evaluate(`
    shown = []
    new MutationObserver(records => {
      for (const { addedNodes } of records) for (const { textContent } of addedNodes) shown.push(textContent)
    }).observe(document.querySelector('.sides'), { childList: true, subtree: true })
  `)
  await button(page, 'Send 20 requests at once').click()
  const { ordinary, ours } = await results(page)
  t.regex(String(ordinary), kept)
  t.regex(String(ours), /^kept 20, lost 0\nEach request added its change/)
  const shown = await page.evaluate<string[]>('shown')
  for (let answered = 1; answered <= 20; answered++)
    t.is(shown.filter(text => text === `${answered} answered`).length, 2)
})

test('a race without an answer says so, and can be tried again', async (t, { visitor }) => {
  const page = await visitor()
  await page.route('**/race/live', route => route.fulfill({ status: 200, body: 'no JSON\n' }), { times: 1 })
  await button(page, 'Send 20 requests at once').click()
  await page.getByText('no answer').nth(1).waitFor()
  await button(page, 'Send 20 requests at once').click()
  t.regex(String((await results(page)).ours), /^kept 20/)
})

test('two profiles of one user see each other, and one that is signed out from the other is led back', async (t, {
  visitor,
}) => {
  const [here, there] = [await visitor(), await visitor()]
  await signIn(there)
  await signIn(here)
  const [own, other, ...more] = await devices(here)
  t.regex(String(own), /^Chrome on \w+, this device, just now$/)
  t.regex(String(other), /^Chrome on \w+, just now$/)
  t.deepEqual(more, [])
  await button(here, /^Sign out Chrome on \w+$/).click()
  await here.getByText(/^Signed out Chrome on \w+$/).waitFor()
  t.is((await devices(here)).length, 1)

  await button(there, 'Add tea').click()
  await there.getByText(/You are not signed in\. If you were: your session was ended elsewhere/).waitFor()
  await there.getByRole('link', { name: 'Sign in' }).click()
  await there.keyboard.type('Ada')
  await there.keyboard.press('Enter')
  await there.getByText('Signed in as Ada').first().waitFor()
  t.is(await there.getByText('You are not signed in').count(), 0)
})

test('a sign-out in another tab leads the first tab back to signing in', async (t, { visitor }) => {
  const page = await visitor()
  await signIn(page)
  const tab = await page.context().newPage()
  await tab.goto('/')
  await button(tab, 'Sign out').first().click()
  await tab.getByText('Signed out').waitFor()
  t.is(await tab.getByText('You are not signed in').count(), 0)
  await button(page, /^Sign out Chrome on \w+, this device$/).click()
  await page.getByText('You are not signed in').waitFor()
  await signIn(page)
})

/** The whole visit, where `press` activates the button of this name. */
async function visit(
  t: ExecutionContext,
  page: Page,
  press: (name: string) => Promise<void>,
  type: (name: string) => Promise<void>,
) {
  await press('Send 20 requests at once')
  const { ordinary, ours } = await results(page)
  t.regex(String(ordinary), kept)
  t.regex(String(ours), /^kept 20, lost 0/)
  await press('Sign out during a slow request')
  await page.getByText('alive again').waitFor()
  const ends = await results(page)
  t.regex(String(ends.ordinary), /^alive again\n/)
  t.regex(String(ends.ours), /^ended\n/)

  await type('Ada')
  await press('Sign in')
  await page.getByText('Signed in as Ada').first().waitFor()
  t.is(await page.getByRole('status').filter({ hasText: 'Signed in as Ada' }).count(), 1)
  await press('Add tea')
  await page.getByText('tea: 1').waitFor()
  t.is(await page.getByRole('status').filter({ hasText: 'Signed in as Ada' }).count(), 0)
  await press('Add coffee')
  await page.getByText('coffee: 1').waitFor()
  await press('Empty the cart')
  await page.getByText('The cart is empty').waitFor()
  for (const name of ['Empty the cart', 'Sign out all others']) t.is(await button(page, name).count(), 0, name)
  await press('Sign out')
  await page.getByText('Signed out').waitFor()
  await page.getByText('Any name will do').waitFor()
}

test('the keyboard is enough, and always shows where it is', async (t, { visitor }) => {
  const page = await visitor()
  const focused = () =>
    page.evaluate<{ name: string; outline: number; isInView: boolean }>(`(async () => {
      // The page scrolls with the next frame.
      for (let frames = 0; frames < 2; frames++) await new Promise(requestAnimationFrame)
      const { activeElement } = document
      const { top, bottom } = activeElement.getBoundingClientRect()
      const { outlineStyle, outlineWidth } = getComputedStyle(activeElement)
      return {
        name: (activeElement.closest('label') ?? activeElement).innerText.trim(),
        outline: outlineStyle === 'none' ? 0 : parseFloat(outlineWidth),
        isInView: top >= 0 && bottom <= innerHeight,
      }
    })()`)
  const tabTo = async (wanted: string) => {
    for (let steps = 0; steps < 20; steps++) {
      await page.keyboard.press('Tab')
      const { name, outline, isInView } = await focused()
      if (name === '') continue
      t.true(outline >= 2, `the focus on ${name} is visible`)
      t.true(isInView, `${name} is in view`)
      if (name === wanted) return
    }
    t.fail(`no Tab leads to ${wanted}`)
  }
  const press = async (name: string) => {
    await tabTo(name)
    await page.keyboard.press('Enter')
  }
  const type = async (name: string) => {
    await tabTo('Name')
    await page.keyboard.type(name)
    await tabTo('Remember me for 30 days')
    await page.keyboard.press('Space')
  }
  await visit(t, page, press, type)
})

test('all of it works without JavaScript, and a race leads back to its button, on a phone too', async (t, {
  visitor,
}) => {
  const page = await visitor({ javaScriptEnabled: false, viewport: { width: 360, height: 640 } })
  const press = async (name: string) => {
    const control = button(page, name).first()
    if ((await control.getAttribute('name')) !== 'race') return control.click()
    const loaded = page.waitForEvent('load')
    await control.press('Enter')
    await loaded
    t.is(await page.locator(':focus').innerText(), name)
    const box = await control.boundingBox()
    t.true(box !== null && box.y >= 0 && box.y < 200, JSON.stringify(box))
  }
  await visit(t, page, press, name => page.getByLabel('Name').fill(name))
  await page.goto('/race')
  t.is(new URL(page.url()).pathname, '/')
})

test('every page is accessible and fits, light and dark, on a phone and on a desk', async (t, {
  visitor,
  sessions,
}) => {
  const page = await visitor()
  const check = async (name: string) => t.deepEqual(await faults(page), [], name)
  await check('the first screen')
  await button(page, 'Send 20 requests at once').click()
  await results(page)
  await check('after a race')
  await page.getByLabel('Name').fill(' ')
  await button(page, 'Sign in').click()
  await page.getByText('Who are you?').waitFor()
  await check('a mistake')
  await signInElsewhere(page)
  await signIn(page)
  await button(page, 'Add tea').click()
  await page.getByText('tea: 1').waitFor()
  await check('signed in on two devices')
  await sessions.revokeAll('Ada')
  await page.goto('/')
  await check('signed out elsewhere')
})

/** What a visitor sees after a form: the outcome, the controls that have the focus, and whether all of it is in view. */
const seen = `(async () => {
  // The page scrolls with the next frame.
  for (let frames = 0; frames < 2; frames++) await new Promise(requestAnimationFrame)
  const isInView = element => {
    const { top, bottom } = element.getBoundingClientRect()
    return top >= 0 && bottom <= innerHeight
  }
  const outcomes = [...document.querySelectorAll('[role=status]')]
  const { activeElement } = document
  return {
    outcome: outcomes.map(outcome => outcome.innerText).join(),
    focus: activeElement === document.body ? '' : activeElement.innerText || activeElement.name,
    description: document.getElementById(activeElement.getAttribute('aria-describedby'))?.innerText ?? '',
    isInView: [...outcomes, activeElement === document.body ? outcomes[0] : activeElement].every(isInView),
  }
})()`

/** The smallest one has the least room. */
const phones = isFull
  ? ([
      [320, 640],
      [360, 640],
      [390, 800],
    ] as const)
  : ([[320, 640]] as const)

for (const [width, height] of isFull ? ([...phones, [900, 800]] as const) : phones) {
  test(`at ${width} × ${height} px, after each form its outcome is in view, and the focus is where it was or near`, async (t, {
    visitor,
  }) => {
    const page = await visitor({ viewport: { width, height } })
    const nextTab = async () => {
      await page.keyboard.press('Tab')
      return page.evaluate<string>('document.activeElement.innerText || document.activeElement.name')
    }
    /** Submits what has the focus, or the button of this name. */
    const submit = async (control?: string | RegExp) => {
      const loaded = page.waitForEvent('load')
      if (control === undefined) await page.keyboard.press('Enter')
      else await button(page, control).first().press('Enter')
      await loaded
      return page.evaluate<{ outcome: string; focus: string; description: string; isInView: boolean }>(seen)
    }
    const shows = (outcome: string, focus = '') => ({
      outcome,
      focus,
      description: focus === '' ? '' : outcome,
      isInView: true,
    })

    await page.getByLabel('Name').fill(' ')
    t.deepEqual(await submit('Sign in'), shows('Who are you?', 'user'))
    await page.keyboard.type('Ada')
    t.deepEqual(await submit(), shows('Signed in as Ada'))
    t.is(await nextTab(), 'Sign out')
    t.deepEqual(await submit('Add tea'), shows('Added tea', 'Add tea'))
    t.deepEqual(await submit(), shows('Added tea', 'Add tea'))
    await page.getByText('tea: 2').waitFor()
    t.is(await nextTab(), 'Add coffee')
    t.deepEqual(await submit(), shows('Added coffee', 'Add coffee'))
    t.deepEqual(await submit('Empty the cart'), shows('The cart is empty'))
    t.is(await nextTab(), 'Add tea')

    for (const name of [/^Sign out Chrome on \w+$/, 'Sign out all others']) {
      await signInElsewhere(page)
      await page.reload()
      const { outcome, ...rest } = await submit(name)
      t.regex(outcome, /^Signed out (Chrome on \w+|1 other device)$/)
      t.deepEqual({ outcome: '', ...rest }, shows(''))
      t.is(await nextTab(), 'Sign out')
    }
    t.deepEqual(await submit('Sign out'), shows('Signed out'))
    t.is(await nextTab(), 'user')
  })
}

test('after a race both results are in view on a phone, and so is the button', async (t, { visitor }) => {
  for (const [width, height] of phones) {
    const page = await visitor({ viewport: { width, height } })
    for (const name of ['Send 20 requests at once', 'Sign out during a slow request']) {
      await button(page, name).click()
      await results(page)
      for (const part of [button(page, name), page.locator('#ordinary strong'), page.locator('#ours strong')]) {
        const box = await part.boundingBox()
        t.true(
          box !== null && box.y >= 0 && box.y + box.height <= height,
          `${name} at ${width}: ${JSON.stringify(box)}`,
        )
      }
    }
  }
})

// Other tests see over HTTP that only remember-me gives the cookie an expiry, and what the page says of it.
for (const remember of isFull ? [true, false] : [true]) {
  test(`a browser that was closed is ${remember ? 'still' : 'no longer'} signed in ${remember ? 'with' : 'without'} remember-me`, async (t, {
    visitor,
  }) => {
    const page = await visitor()
    await signIn(page, { remember })
    // A browser that is closed forgets the cookies without an expiry.
    const { cookies } = await page.context().storageState()
    const reopened = await visitor({ cookies: cookies.filter(({ expires }) => expires !== -1) })
    t.is(await reopened.getByText('Signed in as Ada').count(), remember ? 1 : 0)
  })
}
