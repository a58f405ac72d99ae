import { deepEqual, equal } from 'node:assert/strict'
import type { Browser } from './browser.js'
import type { Site } from './site.js'
import { onOneAndTwo, type StageCase } from './stage.js'

const thirty = Array.from({ length: 30 }, (_, n) => n)
const takes = async (browser: Browser, site?: Site): Promise<unknown[]> =>
  (await browser.visit(({ flash }) => flash(), site && { site })).value

/** Messages for the next request. */
export const flashCases: StageCase[] = [
  ...onOneAndTwo('30 parallel readers of a flash: one gets it', async (stage, one, other) => {
    const browser = await stage.anonymous(one)
    for (const message of ['first', 'second']) {
      await browser.visit(page => page.flash(message))
      const read = (n: number) => browser.send(({ flash }) => flash(), { site: n % 2 ? one : other })
      const answers = await Promise.all(thirty.map(read))
      const delivered = answers.map(({ value }) => value).filter(value => value.length > 0)
      deepEqual(delivered, [[message]])
      deepEqual(await takes(browser, other), [])
    }
  }),

  ...onOneAndTwo('a flash read by none waits', async (stage, one, other) => {
    const browser = await stage.anonymous(one)
    await browser.visit(page => page.flash('waits'))
    for (let n = 0; n < 3; n++) {
      await browser.visit(
        ({ session }) => {
          session.n = n
        },
        { site: n % 2 ? one : other },
      )
    }
    deepEqual(await takes(browser, other), ['waits'])
  }),

  ...onOneAndTwo(
    'flash queues concatenate: what parallel requests queued is all delivered, once',
    async (stage, one, other) => {
      const browser = await stage.anonymous(one)
      await browser.visit(page => page.flash('before'))
      const queue = (n: number) =>
        browser.send(page => void (page.flash('info', n), page.flash(`${n}`)), { site: n % 2 ? one : other })
      await Promise.all(thirty.slice(0, 20).map(queue))
      const messages = await takes(browser)
      equal(messages[0], 'before', 'the oldest first')
      equal(messages.length, 41)
      for (const n of thirty.slice(0, 20)) {
        const at = messages.indexOf(`${n}`)
        deepEqual(messages[at - 1], { type: 'info', message: n }, 'what one request queued stays in order')
      }
      deepEqual(await takes(browser), [])
    },
  ),

  ...onOneAndTwo('a message queued while others are taken waits for later requests', async (stage, one, other) => {
    const browser = await stage.anonymous(one)
    await browser.visit(page => page.flash('first'))
    const finish = await browser.begin(async (page, pause) => {
      page.flash('own')
      await pause()
      return page.flash()
    })
    await browser.visit(page => page.flash('second'), { site: other })
    deepEqual((await finish()).value, ['first', 'second'], 'all that was queued earlier, nothing of its own')
    deepEqual(await takes(browser), ['own'])
  }),

  {
    title: 'a value queued now is for later requests, even if an awaited save has committed it',
    run: async stage => {
      const browser = await stage.anonymous(await stage.site())
      await browser.visit(page => page.flash('earlier'))
      const { value } = await browser.visit(async page => {
        page.flash('own')
        await page.session.save()
        return [await page.flash(), await page.flash()]
      })
      deepEqual(value, [['earlier'], []])
      deepEqual(await takes(browser), ['own'])
    },
  },

  ...onOneAndTwo('of messages queued in parallel at most 50 wait', async (stage, one, other) => {
    const browser = await stage.anonymous(one)
    const queue = (n: number) =>
      browser.send(({ flash }) => void [0, 1].map(part => flash([n, part])), { site: n % 2 ? one : other })
    await Promise.all(thirty.map(queue))
    equal((await takes(browser)).length, 50)
  }),

  {
    title: 'unread messages of earlier requests survive redirects, rotateId, clear and a replacement',
    run: async stage => {
      const site = await stage.site()
      const browser = await stage.signedIn(site)
      await browser.visit(page => page.flash('kept'))
      const redirected = await browser.visit(page => page.redirect('/'))
      equal(redirected.status, 302)
      await browser.visit(({ session }) => session.rotateId())
      await browser.visit(({ session }) => session.clear())
      await browser.visit(page => {
        page.session = { user: 'bob' }
      })
      deepEqual(await takes(browser), ['kept'])
    },
  },

  {
    title: 'unread messages of earlier requests are dropped by regenerate, destroy and null',
    run: async stage => {
      const site = await stage.site()
      for (const how of ['regenerate', 'destroy', 'null']) {
        const browser = await stage.signedIn(site)
        await browser.visit(page => page.flash('of the last person'))
        await browser.visit(async page => {
          if (how === 'regenerate') await page.session.regenerate()
          else if (how === 'destroy') await page.session.destroy()
          else page.session = null
          page.flash('mine')
          page.session.user = 'bob'
        })
        deepEqual([await takes(browser), (await browser.data()).user], [['mine'], 'bob'], how)
      }
    },
  },

  ...onOneAndTwo('a flash survives an automatic rotation and a lost race of it', async (stage, one, other) => {
    const browser = await stage.anonymous(one)
    await browser.visit(page => page.flash('before'))
    const finish = await browser.begin(async (page, pause) => {
      page.session.user = 'ann'
      page.flash('Signed in')
      await pause()
    })
    await browser.visit(page => page.flash('meanwhile'), { site: other })
    browser.keep(await finish())
    deepEqual(await takes(browser), ['before', 'meanwhile', 'Signed in'])
  }),

  {
    title: 'a flash queued in this request survives regenerate',
    run: async stage => {
      const browser = await stage.anonymous(await stage.site())
      await browser.visit(async page => {
        page.flash('Signed in')
        await page.session.regenerate()
        page.session.user = 'ann'
      })
      deepEqual(await takes(browser), ['Signed in'])
    },
  },

  {
    title: 'a flash queued in this request survives regenerate even when an awaited save committed it before',
    run: async stage => {
      const browser = await stage.signedIn(await stage.site())
      await browser.visit(page => page.flash('of an earlier request'))
      await browser.visit(async page => {
        page.flash('committed')
        await page.session.save()
        page.flash('queued')
        await page.session.regenerate()
        page.flash('after')
      })
      deepEqual(await takes(browser), ['committed', 'queued', 'after'])
    },
  },

  {
    title: 'destroy and null drop what was queued before them, not what is queued after',
    run: async stage => {
      const site = await stage.site()
      for (const how of ['destroy', 'null']) {
        const browser = await stage.signedIn(site)
        await browser.visit(async page => {
          page.flash('before')
          await page.session.save()
          page.flash('queued')
          if (how === 'destroy') await page.session.destroy()
          else page.session = null
          page.flash('Bye')
        })
        deepEqual(await takes(browser), ['Bye'], how)
      }
    },
  },
]
