import { Jar, listedLine, Notes, type Observation, sessionLine } from './observations.js'
import { type Action, type Data, edit, type Plan, type Step, times } from './plans.js'

/** What is stored under an id. Times are seconds since the plan began. */
type Kept = Live | Tombstone

interface Live {
  readonly kind: 'live'
  /** Names this state of the session; a touch leaves it. */
  readonly version: number
  readonly createdAt: number
  readonly maxAge: 'session' | number
  readonly data: Data
  readonly flash: readonly Message[]
  readonly seenAt: number
  readonly expiresAt: number
}

interface Tombstone {
  readonly kind: 'tombstone'
  readonly successor: string
  /** Whether `regenerate` left it. */
  readonly login: boolean
  readonly expiresAt: number
}

interface Message {
  /** The request that queued it. */
  readonly by: Request
  readonly text: string
}

/** One session as one request sees it. */
interface Seen {
  id: string
  /** The stored state that this request has seen last, if any. What differs from it in `data` is what it changed. */
  known: Live | undefined
  data: Data
  createdAt: number
  newMaxAge: 'session' | number | undefined
  queued: Message[]
  /** Nobody else can know the id. */
  fresh: boolean
  /** What was found where the session had been: that it had moved on, or ended. */
  lost: Tombstone | 'ended' | undefined
}

interface Request {
  readonly browser: number
  seen: Seen
  /** Sessions set to `null`, which end at the next commit. */
  leaving: Seen[]
  hasLeft: boolean
  /** What the browser will know when the answer has come: `null`: it has no cookie; `'unknown'`: one that means nothing. */
  client: Cookie | 'unknown' | null
  answer: { readonly cookie: Cookie | null; readonly lasts: number | undefined } | undefined
  touch: (() => void) | undefined
  held: (() => void) | undefined
}

interface Cookie {
  readonly id: string
  readonly maxAge: 'session' | number
  readonly expiresAt: number
}

/** What every step of `plan` sees, if each thing that happens is one step in a single world. */
export function predict(plan: Plan): Observation[] {
  const world = new World()
  for (const action of plan.actions) world.act(action)
  return world.notes.lines
}

const text = (value: unknown) => JSON.stringify(value)
const copy = <T>(value: T): T => structuredClone(value)
const differing = (one: Data, other: Data) =>
  [...new Set([...Object.keys(one), ...Object.keys(other)])].filter(key => text(one[key]) !== text(other[key]))

/** Per top-level key, what differs between `from` and `to` becomes as in `to` where `data` still is as in `from`. */
function rebase(data: Data, from: Data, to: Data): void {
  for (const key of differing(from, to)) {
    if (text(data[key]) !== text(from[key])) continue
    if (key in to) data[key] = copy(to[key])
    else delete data[key]
  }
}

function expiry(now: number, createdAt: number, maxAge: 'session' | number): number {
  if (maxAge === 'session') return Math.min(now + times.idle, createdAt + times.absolute)
  return Math.min(now + maxAge, createdAt + Math.max(times.absolute, maxAge))
}

/** The serial model: one store, one clock, and everything happens at once. In one piece, since it is judged by reading it. */
class World {
  readonly notes = new Notes()
  #now = 0
  #serial = 0
  readonly #kept = new Map<string, Kept>()
  readonly #jars = [new Jar(), new Jar()]
  readonly #requests = new Map<number, Request>()

  act(action: Action): void {
    if (action.kind === 'wait') this.#now += action.seconds
    else if (action.kind === 'list')
      this.notes.add(
        action,
        this.#list(action.user)
          .map(([, live]) => listedLine(live))
          .sort(),
      )
    else if (action.kind === 'revokeAll') {
      const found = this.#list(action.user)
      for (const [id] of found) this.#kept.delete(id)
      this.notes.add(action, found.length)
    } else if (action.kind === 'begin') this.#begin(action)
    else {
      const request = this.#requests.get(action.client) as Request
      if (action.kind === 'release') {
        const { touch, held } = request
        request.touch = request.held = undefined
        touch?.()
        held?.()
        return
      }
      const run = () => {
        if (action.kind === 'step') this.notes.add(action, this.#step(request, action.step))
        else this.#end(request, action)
      }
      // What is held takes effect when it is released.
      if (action.hold) request.held = run
      else run()
    }
  }

  #live(id: string): Live | undefined {
    const kept = this.#found(id)
    return kept?.kind === 'live' ? kept : undefined
  }

  #found(id: string): Kept | undefined {
    const kept = this.#kept.get(id)
    return kept && kept.expiresAt > this.#now ? kept : undefined
  }

  #list(user: string): [string, Live][] {
    const all = [...this.#kept.keys()].flatMap((id): [string, Live][] => {
      const live = this.#live(id)
      return live ? [[id, live]] : []
    })
    return all.filter(([, live]) => live.data.user === user)
  }

  #new(): Seen {
    const id = `id ${++this.#serial}`
    return {
      id,
      known: undefined,
      data: {},
      createdAt: this.#now,
      newMaxAge: undefined,
      queued: [],
      fresh: true,
      lost: undefined,
    }
  }

  #begin({ client, browser, back, hold }: Action & { kind: 'begin' }): void {
    const id = (this.#jars[browser] as Jar).id(back)
    const request: Request = {
      browser,
      seen: this.#new(),
      leaving: [],
      hasLeft: false,
      client: id === undefined ? null : 'unknown',
      answer: undefined,
      touch: undefined,
      held: undefined,
    }
    this.#requests.set(client, request)
    const found = id === undefined ? undefined : this.#found(id)
    if (id === undefined || !found) return
    const { seen } = request
    if (found.kind === 'tombstone') {
      // An empty session, whose changes will be dropped.
      seen.lost = found
      return
    }
    Object.assign(seen, { id, known: found, data: copy(found.data), createdAt: found.createdAt, fresh: false })
    request.client = { id, maxAge: found.maxAge, expiresAt: found.expiresAt }
    const { maxAge, seenAt, version } = found
    if (this.#now - seenAt <= Math.min(times.touch, maxAge === 'session' ? Infinity : maxAge / 10)) return
    request.touch = () => {
      const live = this.#live(id)
      // Changed or gone meanwhile: a touch is not worth a second try.
      if (live?.version !== version) return
      const touched = { ...live, seenAt: this.#now, expiresAt: expiry(this.#now, live.createdAt, maxAge) }
      this.#kept.set(id, touched)
      if (seen.known?.version === version) seen.known = touched
    }
    if (hold) return
    request.touch()
    request.touch = undefined
  }

  #step(request: Request, step: Step): unknown {
    const { seen } = request
    switch (step.do) {
      case 'look': {
        const { known, data, createdAt, newMaxAge } = seen
        const maxAge = this.#maxAge(seen)
        const expiresAt = known && newMaxAge === undefined ? known.expiresAt : expiry(this.#now, createdAt, maxAge)
        return sessionLine({ data, id: known && this.notes.name(seen.id), createdAt, expiresAt, maxAge })
      }
      case 'clear':
        seen.data = {}
        return
      case 'replace':
        seen.data = copy(step.data)
        return
      case 'maxAge':
        seen.newMaxAge = step.maxAge
        return
      case 'queue':
        seen.queued.push({ by: request, text: step.message })
        return
      case 'take':
        return this.#take(request)
      case 'save':
      case 'update':
      case 'rotate': {
        this.#leave(request)
        const saved = this.#commit(request, step)
        this.#tell(request)
        return saved
      }
      case 'regenerate': {
        request.hasLeft = true
        request.seen = this.#new()
        const own = this.#finish(seen, request.seen.id).filter(({ by }) => by === request)
        // What this request queued goes along; what earlier requests queued was the last person's.
        request.seen.queued = [...own, ...seen.queued]
        return
      }
      case 'destroy':
        request.hasLeft = true
        request.seen = this.#new()
        this.#finish(seen)
        this.#tell(request)
        return
      case 'null':
        request.hasLeft = true
        request.seen = this.#new()
        request.leaving.push(seen)
        return
      default:
        edit(seen.data, step)
    }
  }

  #end(request: Request, action: Action & { kind: 'end' }): void {
    this.#leave(request)
    // A handler that failed: what was not awaited is not committed.
    if (action.status !== 500) this.#commit(request, { do: 'save' })
    this.#tell(request)
    this.#requests.delete(action.client)
    const { answer } = request
    if (answer) (this.#jars[request.browser] as Jar).keep(answer.lasts === 0 ? undefined : answer.cookie?.id)
    this.notes.add(action, action.status, answer && this.notes.cookie(answer.cookie?.id, answer.lasts))
  }

  #leave(request: Request): void {
    for (const seen of request.leaving.splice(0)) this.#finish(seen)
  }

  /** End a session, wherever it went: a request remembers where. Returns the messages that waited. */
  #finish({ lost, id }: Seen, successor?: string): readonly Message[] {
    if (lost === 'ended') return []
    let at = id
    let found: Kept | undefined = lost ?? this.#found(id)
    while (found?.kind === 'tombstone') {
      // A double-clicked login does not end the first one.
      if (successor !== undefined && found.login) return []
      at = found.successor
      found = this.#found(at)
    }
    if (!found) return []
    if (successor === undefined) this.#kept.delete(at)
    else this.#bury(at, successor, true)
    return found.flash
  }

  #bury(id: string, successor: string, login: boolean): void {
    this.#kept.set(id, { kind: 'tombstone', successor, login, expiresAt: this.#now + times.tombstone })
  }

  #maxAge({ newMaxAge, known }: Seen): 'session' | number {
    return newMaxAge ?? known?.maxAge ?? 'session'
  }

  #isChanged(seen: Seen): boolean {
    const { known, data, queued } = seen
    if (queued.length > 0 || differing(known?.data ?? {}, data).length > 0) return true
    return known !== undefined && this.#maxAge(seen) !== known.maxAge
  }

  /** See what others stored; what this request changed stays. */
  #adopt(seen: Seen, live: Live): void {
    rebase(seen.data, seen.known?.data ?? {}, live.data)
    seen.known = live
  }

  #store(seen: Seen, id: string, flash: readonly Message[], createdAt: number): void {
    const maxAge = this.#maxAge(seen)
    const live: Live = {
      kind: 'live',
      version: ++this.#serial,
      createdAt,
      maxAge,
      data: copy(seen.data),
      flash: [...flash, ...seen.queued],
      seenAt: this.#now,
      expiresAt: expiry(this.#now, createdAt, maxAge),
    }
    this.#kept.set(id, live)
    Object.assign(seen, { id, known: live, createdAt, newMaxAge: undefined, queued: [] })
  }

  #commit(request: Request, step: Step): boolean {
    const { seen } = request
    const isUpdate = step.do === 'update'
    const isRotation = step.do === 'rotate'
    if (!isUpdate && !isRotation && !this.#isChanged(seen)) return true

    const found = seen.lost === undefined && seen.known ? this.#found(seen.id) : undefined
    const now = found?.kind === 'live' ? found : undefined
    if (seen.lost !== undefined || (seen.known && !now)) {
      // Gone stays gone: what it wrote is dropped, unless it signed somebody in.
      const before = seen.known?.data ?? {}
      if (seen.data.user === undefined || seen.data.user === before.user) {
        seen.lost ??= found?.kind === 'tombstone' ? found : 'ended'
        return false
      }
      const mine = differing(before, seen.data).filter(key => key in seen.data)
      const { id, createdAt } = this.#new()
      const data = Object.fromEntries(mine.map(key => [key, seen.data[key]]))
      Object.assign(seen, { id, createdAt, data, known: undefined, fresh: true, lost: undefined })
    }

    if (now && now.version !== seen.known?.version) this.#adopt(seen, now)
    if (isUpdate) edit(seen.data, step)
    if (!seen.known) {
      // Nothing is stored until there is something to store.
      if (!this.#isChanged(seen)) return true
      this.#store(seen, seen.id, [], seen.createdAt)
      if (!isRotation) return true
    }
    const { data, flash } = seen.known as Live
    const moved = seen.data.user !== data.user
    const rotates = isRotation || (moved && !seen.fresh)
    // Nothing is left to write when another request has made the same change.
    if (!rotates && !this.#isChanged(seen)) return true
    const { id } = seen
    this.#store(seen, rotates ? this.#new().id : id, flash, moved ? this.#now : seen.createdAt)
    if (!rotates) return true
    this.#bury(id, seen.id, false)
    seen.fresh = true
    return true
  }

  /** Claim what earlier requests queued, and nothing else. */
  #take(request: Request): string[] {
    const { seen } = request
    const isOwn = ({ by }: Message) => by === request
    // What waits, the request knows from when it saw the session last.
    if (seen.lost !== undefined || !seen.known || seen.known.flash.every(isOwn)) return []
    const now = this.#live(seen.id)
    if (!now) return []
    const taken = now.flash.filter(message => !isOwn(message))
    this.#adopt(seen, now)
    if (taken.length === 0) return []
    const { createdAt, maxAge } = now
    seen.known = {
      ...now,
      version: ++this.#serial,
      flash: now.flash.filter(isOwn),
      seenAt: this.#now,
      expiresAt: expiry(this.#now, createdAt, maxAge),
    }
    this.#kept.set(seen.id, seen.known)
    return taken.map(({ text }) => text)
  }

  /** Put on the answer what the browser does not know yet. */
  #tell(request: Request): void {
    const { seen, client } = request
    const { known, id, lost } = seen
    let cookie: Cookie | null
    if (known && lost === undefined) cookie = { id, maxAge: known.maxAge, expiresAt: known.expiresAt }
    else if (request.hasLeft) cookie = null
    else return
    if (client === cookie) return
    if (
      client !== null &&
      client !== 'unknown' &&
      cookie &&
      client.id === cookie.id &&
      client.maxAge === cookie.maxAge
    ) {
      if (cookie.maxAge === 'session' || cookie.expiresAt === client.expiresAt) return
    }
    const lasts = cookie && cookie.maxAge !== 'session' ? Math.max(cookie.expiresAt - this.#now, 0) : undefined
    request.client = cookie
    request.answer = { cookie, lasts }
  }
}
