import { randomBytes } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { isSessionError, type Store } from 'koa-session-core'
import { type Answer, exchange } from './browser.js'
import { type Gate, gate } from './gate.js'
import { Jar, listedLine, Notes, type Observation, sessionLine } from './observations.js'
import { type Action, edit, type Plan, type Step, times } from './plan.js'
import { type Page, Site } from './site.js'

/** Opens a store on `world`: the same name means the same data, a new name an empty store. */
export type CreateStore = (world: string) => Store | Promise<Store>

const second = 1_000
let isRunning = false

/**
 * Run `plan` over HTTP in a new world, each client on an app and a store of its own, and tell what was seen. The clock of
 * the whole process stands still meanwhile, except where the plan waits: run one plan at a time, and nothing beside.
 */
export async function runPlan(plan: Plan, create: CreateStore): Promise<Observation[]> {
  if (isRunning) throw new Error('runPlan: another plan is running, and there is one clock')
  isRunning = true
  const clock = Date.now
  const began = Math.ceil(clock() / second) * second
  let waited = 0
  Date.now = () => began + waited * second
  const clients: Client[] = []
  try {
    const world = `w${randomBytes(8).toString('hex').slice(1)}`
    for (let n = 0; n < plan.clients; n++) clients.push(await Client.open(await create(world), began))
    const notes = new Notes()
    const jars = [new Jar(), new Jar()]
    for (const action of plan.actions) {
      // Actions of different requests are never in one turn of the event loop.
      await setImmediate()
      if (action.kind === 'wait') waited += action.seconds
      else if (action.kind === 'list' || action.kind === 'revokeAll') await (clients[0] as Client).survey(action, notes)
      else await (clients[action.client] as Client).act(action, notes, jars)
    }
    for (const { failures } of clients) notes.lines.push(...failures)
    return notes.lines
  } finally {
    await Promise.all(clients.map(client => client.close()))
    Date.now = clock
    isRunning = false
  }
}

type ClientAction = Extract<Action, { readonly client: number }>

/** A call of the store that waits. */
interface Held {
  readonly reached: Gate
  readonly released: Gate
  /** Whether a write that creates a record waits as well. */
  creations: boolean
}

/** The next step of a handler. `false`: it returns. */
type Job = (page: Page) => Promise<boolean>

/** One client with its app, whose request does a step when it is told to. */
class Client {
  readonly #site: Site
  readonly #began: number
  readonly #held: { read?: Held | undefined; write?: Held | undefined; touch?: Held | undefined } = {}
  #touching: Promise<unknown> | undefined
  #jar = new Jar()
  #answer: Promise<Answer> | undefined
  #tell = (_job: Job) => {}
  /** The held step or end, and its call until `release`: it resolves to a function that notes the result. */
  #waiting: { readonly held: Held; readonly doing?: Promise<() => void> } | undefined

  private constructor(site: Site, began: number) {
    this.#site = site
    this.#began = began
    const { store } = site
    const { read, write, touch } = store
    store.read = async (...call) => {
      await this.#arrive('read')
      return read(...call)
    }
    store.write = async (key, record, expected, call) => {
      await this.#arrive('write', expected === null)
      return write(key, record, expected, call)
    }
    store.touch = (...call) => {
      const touching = this.#arrive('touch').then(() => touch(...call))
      this.#touching = touching.catch(() => {})
      return touching
    }
  }

  static async open(store: Store, began: number): Promise<Client> {
    const site = await Site.start({
      store,
      idleTimeout: times.idle * second,
      absoluteTimeout: times.absolute * second,
      touchInterval: times.touch * second,
      sweepInterval: 0,
      storeTimeout: 30 * second,
    })
    return new Client(site, began)
  }

  /** Failures that no answer has shown. */
  get failures(): string[] {
    const { reported, thrown } = this.#site
    return [...reported, ...thrown.filter(isSessionError)].map(outcome)
  }

  async survey(action: Extract<Action, { readonly kind: 'list' | 'revokeAll' }>, notes: Notes): Promise<void> {
    const { sessions } = this.#site
    if (action.kind === 'revokeAll') return notes.add(action, await sessions.revokeAll(action.user).catch(outcome))
    const lines: string[] = []
    for await (const { data, createdAt, seenAt, expiresAt } of sessions.list(action.user)) {
      const [created, seen, ends] = [createdAt, seenAt, expiresAt].map(at => this.#seconds(at)) as [
        number,
        number,
        number,
      ]
      lines.push(listedLine({ data, createdAt: created, seenAt: seen, expiresAt: ends }))
    }
    notes.add(action, lines.sort())
  }

  async act(action: ClientAction, notes: Notes, jars: Jar[]): Promise<void> {
    if (action.kind === 'release') return this.#release()
    if (action.kind === 'begin') return this.#begin(action, jars[action.browser] as Jar, notes)
    const held = action.hold ? this.#hold('write') : undefined
    // An answer is decided by the last call of the request, whichever it is.
    if (action.kind === 'end') this.#held.read = this.#held.touch = held
    // An update that finds nothing to write looks once more.
    else if (action.step.do === 'remove') this.#held.read = held
    const doing = action.kind === 'step' ? this.#step(action, notes) : this.#end(action, notes)
    if (!held) return (await doing)()
    this.#waiting = { held, doing }
    // A step without a store call is done at once, but still noted when it is released.
    await Promise.race([held.reached.opened, doing])
    this.#free()
  }

  async close(): Promise<void> {
    this.#waiting?.held.released.open()
    this.#tell(async () => false)
    await this.#site.close()
  }

  #free(): void {
    this.#held.read = this.#held.write = this.#held.touch = undefined
  }

  #hold(what: 'write' | 'touch'): Held {
    const held = { reached: gate(), released: gate(), creations: false }
    this.#held[what] = held
    return held
  }

  /** A stored session changes by the write that replaces its record: the copy of a rotation is still unknown. */
  #aim({ session }: Page): void {
    if (this.#held.write) this.#held.write.creations = session.isNew
  }

  async #arrive(what: 'read' | 'write' | 'touch', creates = false): Promise<void> {
    const held = this.#held[what]
    if (!held || (creates && !held.creations)) return
    this.#free()
    held.reached.open()
    await held.released.opened
  }

  async #release(): Promise<void> {
    const { held, doing } = this.#waiting ?? {}
    this.#waiting = undefined
    held?.released.open()
    const note = await doing
    note?.()
    await this.#touched()
  }

  /** Resolves when the request knows of its touch. */
  async #touched(): Promise<void> {
    await this.#touching
    await setImmediate()
  }

  async #begin(action: Extract<Action, { readonly kind: 'begin' }>, jar: Jar, notes: Notes): Promise<void> {
    if (action.hold) this.#waiting = { held: this.#hold('touch') }
    this.#touching = undefined
    this.#jar = jar
    const id = jar.id(action.back)
    const entered = gate()
    const posted = this.#site.post(async page => {
      for (let goesOn = true; goesOn; ) {
        const next = new Promise<Job>(resolve => {
          this.#tell = resolve
        })
        entered.open()
        goesOn = await (await next)(page)
      }
    })
    const answer = exchange(this.#site.port, posted.path, id === undefined ? '' : `sid=${id}`)
    this.#answer = answer
    const refused = await Promise.race([entered.opened, answer])
    if (refused) notes.add(action, refused.status)
    this.#held.touch = undefined
    if (!action.hold) await this.#touched()
  }

  async #step(action: Extract<Action, { readonly kind: 'step' }>, notes: Notes): Promise<() => void> {
    let seen: unknown = 'no request'
    const done = new Promise<void>(resolve => {
      this.#tell(async page => {
        if (action.hold) this.#aim(page)
        seen = await this.#perform(page, action.step, notes).catch(outcome)
        resolve()
        return true
      })
    })
    await Promise.race([done, this.#answer])
    return () => notes.add(action, seen)
  }

  async #end(action: Extract<Action, { readonly kind: 'end' }>, notes: Notes): Promise<() => void> {
    const { status } = action
    this.#tell(async page => {
      if (action.hold) this.#aim(page)
      if (status === 401) page.throw(401)
      if (status === 500) throw new Error('a handler that fails')
      return false
    })
    const answer = (await this.#answer) as Answer
    return () => {
      const [cookie, ...more] = answer.cookies
      const [, id = ''] = /^sid=([^;]*)/.exec(cookie ?? '') ?? []
      const maxAge = /; max-age=(\d+)/i.exec(cookie ?? '')?.[1]
      const lasts = maxAge === undefined || id === '' ? undefined : Number(maxAge)
      if (cookie !== undefined) this.#jar.keep(id === '' || lasts === 0 ? undefined : id)
      notes.add(action, answer.status, cookie && notes.cookie(id || undefined, lasts), ...more)
    }
  }

  /** Do `step`. What comes back is what it showed. */
  async #perform(page: Page, step: Step, notes: Notes): Promise<unknown> {
    const { session } = page
    switch (step.do) {
      case 'look': {
        const { id, isNew, maxAge } = session
        return sessionLine({
          data: { ...session },
          id: isNew ? undefined : notes.name(id),
          createdAt: this.#seconds(session.createdAt),
          expiresAt: this.#seconds(session.expiresAt),
          maxAge: maxAge === 'session' ? maxAge : maxAge / second,
        })
      }
      case 'clear':
        return session.clear()
      case 'replace':
        page.session = step.data
        return
      case 'null':
        page.session = null
        return
      case 'maxAge':
        session.maxAge = step.maxAge === 'session' ? step.maxAge : step.maxAge * second
        return
      case 'queue':
        return page.flash(step.message)
      case 'touch':
        return session.touch()
      case 'take':
        return page.flash()
      case 'save':
        return session.save()
      case 'update':
      case 'remove':
        return session.update(data => edit(data, step))
      case 'rotate':
        return session.rotateId()
      case 'regenerate':
        return session.regenerate()
      case 'destroy':
        return session.destroy()
      default:
        edit(session, step)
    }
  }

  #seconds(at: number): number {
    return (at - this.#began) / second
  }
}

const outcome = (error: unknown): string => `failed: ${isSessionError(error) ? error.code : String(error)}`
