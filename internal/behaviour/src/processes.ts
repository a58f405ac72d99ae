import { deepEqual, equal, ok } from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type Answer, exchange } from './browser.js'
import { processCount } from './full.js'
import type { BehaviourCase } from './stage.js'

/** The same site in several processes, and one browser that visits them. */
class Fleet {
  readonly #children: readonly ChildProcess[]
  readonly #ports: readonly number[]
  readonly #world = `p${randomBytes(8).toString('hex').slice(1)}`
  cookie = ''

  constructor(children: readonly ChildProcess[], ports: readonly number[]) {
    this.#children = children
    this.#ports = ports
  }

  get size(): number {
    return this.#ports.length
  }

  /** Ask process number `n`, and keep the session cookie of the answer unless told otherwise. */
  async ask(n: number, path: string, { keep = true, cookie = this.cookie } = {}): Promise<Answer> {
    const answer = await exchange(this.#ports[n % this.size] as number, `/${this.#world}/${path}`, cookie, {})
    ok(answer.status < 500, `${path} was answered with status ${answer.status}`)
    if (keep) this.cookie = cookieOf(answer) ?? this.cookie
    return answer
  }

  /** Begin requests that wait until `release`, the first one on process 0, the next on 1. Resolves when all wait. */
  async begin(...paths: string[]): Promise<Promise<Answer>[]> {
    const answers: Promise<Answer>[] = []
    for (const [n, path] of paths.entries()) answers.push((await this.#beginOn(n, path)).answer)
    return answers
  }

  async #beginOn(n: number, path: string): Promise<{ answer: Promise<Answer> }> {
    const child = this.#children[n % this.size] as ChildProcess
    const waiting = once(child, 'message')
    const answer = this.ask(n, `${path}${path.includes('?') ? '&' : '?'}wait`, { keep: false })
    answer.catch(() => {})
    await Promise.race([waiting, answer])
    return { answer }
  }

  async release(): Promise<void> {
    await Promise.all(this.#ports.map((_, n) => this.ask(n, 'release', { keep: false })))
  }
}

/** The name and value of the session cookie an answer sets; `''` where it clears it. */
function cookieOf({ cookies }: Answer): string | undefined {
  const line = cookies.find(one => one.startsWith('sid='))
  return line && (/; *max-age=0/i.test(line) ? '' : line.split(';', 1)[0])
}

const numbers = (length: number): number[] => Array.from({ length }, (_, n) => n)

const cases: { title: string; run(fleet: Fleet): Promise<void> }[] = [
  {
    title: 'between processes, revokeAll ends sessions that change their ids as fast as they can',
    async run(fleet) {
      await fleet.ask(0, 'sign-in?key=ann')
      const first = fleet.cookie
      const devices = await Promise.all(
        numbers(4).map(async n => cookieOf(await fleet.ask(n, 'sign-in?key=ann', { keep: false, cookie: '' })) ?? ''),
      )
      let isOver = false
      // The first device sends several requests at once.
      const loops = [first, first, first, first, ...devices].map(async (cookie, lane) => {
        let mine = cookie
        for (let n = 0; !isOver; n++) {
          const answer = await fleet.ask(n + lane, 'rotate', { keep: false, cookie: mine })
          mine = cookieOf(answer) ?? mine
        }
        return mine
      })
      for (const n of numbers(fleet.size)) await fleet.ask(n, 'data', { keep: false })
      await fleet.ask(3, 'revoke?key=ann', { keep: false, cookie: '' })
      isOver = true
      for (const cookie of [first, ...devices, ...(await Promise.all(loops))]) {
        deepEqual((await fleet.ask(1, 'data', { keep: false, cookie })).value, {})
      }
      equal((await fleet.ask(2, 'revoke?key=ann', { keep: false, cookie: '' })).value, 0)
    },
  },
  {
    title: 'between processes, 50 parallel requests that each set their own key keep all 50',
    async run(fleet) {
      await fleet.ask(0, 'set?key=first')
      await Promise.all(numbers(50).map(n => fleet.ask(n, `set?key=k${n}`)))
      const { value } = await fleet.ask(0, 'data')
      deepEqual(Object.keys(value).sort(), ['first', ...numbers(50).map(n => `k${n}`)].sort())
    },
  },
  {
    title: 'between processes, a counter and a list by update are exact',
    async run(fleet) {
      await fleet.ask(0, 'set?key=first')
      const answers = await Promise.all(numbers(60).map(n => fleet.ask(n, `raise?key=k${n}`)))
      ok(answers.every(({ value }) => value === true))
      const { n, list } = (await fleet.ask(1, 'data')).value
      equal(n, 60)
      deepEqual(
        list.sort(),
        numbers(60)
          .map(n => `k${n}`)
          .sort(),
      )
    },
  },
  {
    title: 'between processes, of 30 parallel readers of a flash message one gets it',
    async run(fleet) {
      await fleet.ask(0, 'flash?key=hello')
      const answers = await Promise.all(numbers(30).map(n => fleet.ask(n, 'take')))
      deepEqual(
        answers.flatMap(({ value }) => value),
        ['hello'],
      )
    },
  },
  {
    title: 'between processes, no request that began before a logout brings the session back',
    async run(fleet) {
      await fleet.ask(0, 'sign-in?key=ann')
      const { cookie } = fleet
      const slow = await fleet.begin('set?key=late', 'raise', 'rotate', 'flash?key=late')
      await fleet.ask(0, 'log-out')
      equal(fleet.cookie, '', 'the logout clears the cookie')
      await fleet.release()
      for (const answer of slow) equal(cookieOf(await answer), undefined, 'a late answer sets no cookie')
      for (const n of numbers(fleet.size)) deepEqual((await fleet.ask(n, 'data', { cookie })).value, {})
    },
  },
  {
    title: 'between processes, of parallel rotations one wins and no cookie is cleared',
    async run(fleet) {
      await fleet.ask(0, 'sign-in?key=ann')
      const slow = await fleet.begin('rotate', 'rotate', 'rotate', 'rotate')
      await fleet.release()
      const answers = await Promise.all(slow)
      equal(answers.filter(({ value }) => value === true).length, 1)
      const cookies = answers.map(cookieOf).filter(cookie => cookie !== undefined)
      equal(cookies.length, 1, 'one answer sets a cookie, none clears it')
      deepEqual((await fleet.ask(1, 'data', { cookie: cookies[0] as string })).value, { user: 'ann' })
    },
  },
]

/**
 * Promises that must hold between processes, as cases for any test runner. All use the same processes: call `end` when
 * they are through. `module` is the URL of a module that exports `create(world)`.
 */
export function processCases({ module }: { readonly module: string }): {
  cases: BehaviourCase[]
  end(): Promise<void>
} {
  let started: Promise<{ children: ChildProcess[]; ports: number[] }> | undefined
  const start = async () => {
    const server = new URL('server.js', import.meta.url)
    const children = numbers(processCount).map(() => fork(server, [module], { execArgv: [] }))
    const ports = await Promise.all(children.map(async child => (await once(child, 'message'))[0] as number))
    return { children, ports }
  }
  return {
    cases: cases.map(({ title, run }) => ({
      title,
      run: async () => {
        started ??= start()
        const { children, ports } = await started
        await run(new Fleet(children, ports))
      },
    })),
    async end() {
      const { children } = (await started) ?? { children: [] }
      const exits = children.map(child => once(child, 'exit'))
      for (const child of children) child.disconnect()
      await Promise.all(exits)
    },
  }
}
