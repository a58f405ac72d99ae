import { deepEqual, equal } from 'node:assert/strict'
import { onOneAndTwo, type StageCase } from './stage.js'

const fifty = Array.from({ length: 50 }, (_, n) => n)

/** Cases of changes that meet. */
export const changeCases: StageCase[] = [
  ...onOneAndTwo(
    '50 parallel requests on one session, each setting its own key: all 50 are there',
    async (stage, one, other) => {
      const browser = await stage.anonymous(one)
      const set = (n: number) =>
        browser.send(
          ({ session }) => {
            session[`k${n}`] = n
          },
          { site: n % 2 ? one : other },
        )
      await Promise.all(fifty.map(set))
      const all = Object.fromEntries(fifty.map(n => [`k${n}`, n]))
      deepEqual(await browser.data(), { mark: stage.mark, ...all })
    },
  ),

  ...onOneAndTwo(
    '50 parallel requests, each changing its own nested data: all 50 changes are there',
    async (stage, one, other) => {
      const browser = await stage.anonymous(one, Object.fromEntries(fifty.map(n => [`k${n}`, { list: [{ n: 0 }] }])))
      const set = (n: number) =>
        browser.send(
          ({ session }) => {
            session[`k${n}`].list[0].n = n
            session[`k${n}`].list.push(n)
          },
          { site: n % 2 ? one : other },
        )
      await Promise.all(fifty.map(set))
      const all = Object.fromEntries(fifty.map(n => [`k${n}`, { list: [{ n }, n] }]))
      deepEqual(await browser.data(), { mark: stage.mark, ...all })
    },
  ),

  ...onOneAndTwo('a counter by update is exact after 100 parallel increments', async (stage, one, other) => {
    const browser = await stage.anonymous(one)
    const raise = (n: number) =>
      browser.send(
        ({ session }) =>
          session.update(data => {
            data.n = (data.n ?? 0) + 1
          }),
        { site: n % 2 ? one : other },
      )
    const answers = await Promise.all([...fifty, ...fifty].map((_, n) => raise(n)))
    equal(answers.filter(({ value }) => value === true).length, 100, 'each update resolves to true')
    equal((await browser.data()).n, 100)
  }),

  ...onOneAndTwo(
    'what 50 parallel updates change inside a list, an object and a Map is all there',
    async (stage, one, other) => {
      const browser = await stage.anonymous(one, { list: [], inner: { n: 0 }, map: new Map() })
      const change = (n: number) =>
        browser.send(
          ({ session }) =>
            session.update(data => {
              data.list.push(n)
              data.inner.n++
              data.map.set(n, true)
            }),
          { site: n % 2 ? one : other },
        )
      const answers = await Promise.all(fifty.map(change))
      equal(answers.filter(({ value }) => value === true).length, 50, 'each update resolves to true')
      const { value } = await browser.visit(({ session }) => ({
        list: session.list,
        n: session.inner.n,
        keys: [...session.map.keys()],
      }))
      const ascending = (numbers: number[]) => numbers.toSorted((a, b) => a - b)
      deepEqual(
        { ...value, list: ascending(value.list), keys: ascending(value.keys) },
        { list: fifty, n: 50, keys: fifty },
      )
    },
  ),

  ...onOneAndTwo('the same key changed twice: the later commit wins for that key alone', async (stage, one, other) => {
    const browser = await stage.anonymous(one, { both: 'old', untouched: 'old' })
    const finish = await browser.begin(async ({ session }, pause) => {
      session.both = 'late'
      session.late = true
      await pause()
    })
    await browser.visit(
      ({ session }) => {
        session.both = 'early'
        session.early = true
      },
      { site: other },
    )
    equal((await browser.data()).both, 'early')
    await finish()
    deepEqual(await browser.data(other), {
      mark: stage.mark,
      untouched: 'old',
      both: 'late',
      late: true,
      early: true,
    })
  }),

  ...onOneAndTwo('never a deep merge: a top-level key is one value', async (stage, one, other) => {
    const browser = await stage.anonymous(one, { cart: { apples: 1 }, list: [1] })
    const finish = await browser.begin(async ({ session }, pause) => {
      session.cart.pears = 2
      session.list.push(2)
      await pause()
    })
    await browser.visit(
      ({ session }) => {
        session.cart.plums = 3
        session.list.push(3)
      },
      { site: other },
    )
    await finish()
    deepEqual(await browser.data(), { mark: stage.mark, cart: { apples: 1, pears: 2 }, list: [1, 2] })
  }),

  ...onOneAndTwo('what a request deleted stays deleted, what it did not touch stays', async (stage, one, other) => {
    const browser = await stage.anonymous(one, { a: 1, b: 2, c: 3 })
    const finish = await browser.begin(async ({ session }, pause) => {
      delete session.a
      session.b = 'late'
      await pause()
    })
    await browser.visit(
      ({ session }) => {
        session.a = 'early'
        delete session.b
        delete session.c
        session.d = 4
      },
      { site: other },
    )
    await finish()
    deepEqual(await browser.data(), { mark: stage.mark, b: 'late', d: 4 })
  }),

  ...onOneAndTwo(
    'clear() and a replacement delete the keys that they found, not the ones set meanwhile',
    async (stage, one, other) => {
      for (const how of ['clear', 'replace']) {
        const browser = await stage.anonymous(one, { a: 1 })
        const finish = await browser.begin(async (page, pause) => {
          if (how === 'clear') page.session.clear()
          else page.session = { a: 2 }
          await pause()
        })
        await browser.visit(
          ({ session }) => {
            session.meanwhile = true
          },
          { site: other },
        )
        await finish()
        deepEqual(await browser.data(), { ...(how === 'replace' && { a: 2 }), meanwhile: true }, how)
      }
    },
  ),

  ...onOneAndTwo('update runs again on fresh data after a lost race', async (stage, one, other) => {
    const browser = await stage.anonymous(one, { list: ['old'] })
    const finish = await browser.begin(async ({ session }, pause) => {
      session.own = true
      await pause()
      const saved = await session.update(data => {
        data.list.push('late')
        data.sum = data.list.length
      })
      return [saved, { ...session }]
    })
    await browser.visit(({ session }) => void session.list.push('early'), { site: other })
    const { value } = await finish()
    const expected = { mark: stage.mark, own: true, list: ['old', 'early', 'late'], sum: 3 }
    deepEqual(value, [true, expected], 'the handler sees what is stored')
    deepEqual(await browser.data(), expected)
  }),

  ...onOneAndTwo('after save the session shows what others changed meanwhile', async (stage, one, other) => {
    const browser = await stage.anonymous(one, { a: 1, b: { n: 1 } })
    const finish = await browser.begin(async ({ session }, pause) => {
      const { b } = session
      session.late = true
      await pause()
      const saved = await session.save()
      const kept = session.b === b
      return [saved, kept, { ...session }]
    })
    await browser.visit(
      ({ session }) => {
        session.a = 2
      },
      { site: other },
    )
    const { value } = await finish()
    deepEqual(value, [true, true, { mark: stage.mark, a: 2, b: { n: 1 }, late: true }])
  }),
]
