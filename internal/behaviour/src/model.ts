import { Jar, listedLine, Notes, type Observation, sessionLine } from './observations.js'
import { type Action, type Data, edit, type Plan, type Step, times } from './plan.js'

/** The record under an id. Times are seconds since the plan began. */
type Kept = Live | Tombstone

interface Live {
  readonly kind: 'live'
  /** The version of this state. A touch keeps it. */
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
  readonly reason: 'rotation' | 'subject' | 'login' | 'confirmed' | 'revoked'
  /** The user whose session it was, until another session is stored in its place. */
  readonly user: string | undefined
  readonly expiresAt: number
}

/** A tombstone and its id. */
interface Grave {
  readonly at: string
  readonly stone: Tombstone
}

interface Message {
  /** The request that queued it. */
  readonly by: Request
  readonly text: string
}

/** One session as one request sees it. */
interface Seen {
  id: string
  /** The stored state that this request has seen last, if any. The request's changes are the differences to `data`. */
  known: Live | undefined
  data: Data
  createdAt: number
  newMaxAge: 'session' | number | undefined
  queued: Message[]
  /** Only this request knows the id. */
  fresh: boolean
  /** The record found in place of the session: a tombstone, or nothing. */
  lost: { readonly at: string; readonly stone: Tombstone | undefined } | undefined
  /** The data when the request first saw the session. */
  first: Data | undefined
  /** The end of the session that this one replaced. */
  before: Before | undefined
}

interface Before {
  readonly seen: Seen | undefined
  readonly regenerated: boolean
  /** Whether this request ended it. */
  readonly ended: boolean
  readonly grave: Grave | undefined
}

interface Request {
  readonly browser: number
  seen: Seen
  /** Sessions set to `null`, which end at the next commit. */
  leaving: [Seen, Seen][]
  hasLeft: boolean
  isSignedOut: boolean
  /** Its touch waits for the end of the request, because the term of the cookie moves too. */
  isDue: boolean
  /** The cookie of the browser when it sent the request. */
  had: Cookie | 'unknown' | null
  /** The cookie of the browser after the answer. `null`: none; `'unknown'`: one that names no session. */
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

/** The result of every step of `plan`, if each event is one step in a single world. */
export function predict(plan: Plan): Observation[] {
  const world = new World()
  for (const action of plan.actions) world.act(action)
  return world.notes.lines
}

const text = (value: unknown) => JSON.stringify(value)
const copy = <T>(value: T): T => structuredClone(value)
const differing = (one: Data, other: Data) =>
  [...new Set([...Object.keys(one), ...Object.keys(other)])].filter(key => text(one[key]) !== text(other[key]))

/** For each top-level key that differs between `from` and `to`: take the value of `to`, if `data` still has that of `from`. */
function rebase(data: Data, from: Data, to: Data): void {
  for (const key of differing(from, to)) {
    if (text(data[key]) !== text(from[key])) continue
    if (key in to) data[key] = copy(to[key])
    else delete data[key]
  }
}

const term = (maxAge: 'session' | number): number =>
  maxAge === 'session' ? times.absolute : Math.max(times.absolute, maxAge)

/** A term that would have passed starts again. */
const start = (now: number, createdAt: number, maxAge: 'session' | number): number =>
  createdAt + term(maxAge) <= now ? now : createdAt

function had({ first, known, before }: Seen, user: string): boolean {
  return first?.user === user || known?.data.user === user || (before?.seen !== undefined && had(before.seen, user))
}

const hadUser = ({ first, before }: Seen): boolean =>
  first?.user !== undefined || (before?.seen !== undefined && hadUser(before.seen))

function same(client: Cookie | 'unknown' | null, cookie: Cookie | null): boolean {
  if (client === 'unknown' || client === null || cookie === null) return client === cookie
  if (client.id !== cookie.id || client.maxAge !== cookie.maxAge) return false
  return cookie.maxAge === 'session' || cookie.expiresAt === client.expiresAt
}

function expiry(now: number, createdAt: number, maxAge: 'session' | number): number {
  return Math.min(now + (maxAge === 'session' ? times.idle : maxAge), createdAt + term(maxAge))
}

/** The serial model: one store, one clock, and each step is atomic. It is one class, so that it can be read from top to bottom. */
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
      for (const id of [...this.#kept.keys()]) {
        const stone = this.#found(id)
        if (stone?.kind === 'tombstone' && stone.user === action.user) this.#bury(id, stone.successor, 'revoked')
      }
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
      // A held operation takes effect when it is released.
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
      first: undefined,
      before: undefined,
    }
  }

  #begin({ client, browser, back, hold }: Action & { kind: 'begin' }): void {
    const id = (this.#jars[browser] as Jar).id(back)
    const request: Request = {
      browser,
      seen: this.#new(),
      leaving: [],
      hasLeft: false,
      isSignedOut: false,
      isDue: false,
      had: id === undefined ? null : 'unknown',
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
      // The request gets an empty session, and its changes are dropped.
      seen.lost = { at: id, stone: found }
      return
    }
    const { data, createdAt } = found
    Object.assign(seen, { id, known: found, data: copy(data), createdAt, fresh: false, first: data })
    request.client = request.had = { id, maxAge: found.maxAge, expiresAt: found.expiresAt }
    const { maxAge, seenAt, version } = found
    if (this.#now - seenAt <= Math.min(times.touch, maxAge === 'session' ? Infinity : maxAge / 10)) return
    if (maxAge !== 'session') {
      request.isDue = true
      return
    }
    request.touch = () => {
      const live = this.#live(id)
      // The session has changed or is gone, and a touch is not repeated.
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
        const begins = start(this.#now, createdAt, maxAge)
        const expiresAt = known && newMaxAge === undefined ? known.expiresAt : expiry(this.#now, begins, maxAge)
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
      case 'touch':
        return this.#touch(seen)
      case 'save':
      case 'update':
      case 'remove':
      case 'rotate': {
        this.#leave(request)
        const saved = this.#commit(request, step)
        this.#tell(request)
        return saved
      }
      case 'regenerate': {
        request.hasLeft = true
        const next = this.#new()
        request.seen = next
        const own = this.#finish(seen, next, true).filter(({ by }) => by === request)
        // Messages of this request stay. Those of earlier requests were for the previous user.
        next.queued = [...own, ...seen.queued]
        return
      }
      case 'destroy':
        request.hasLeft = request.isSignedOut = true
        request.seen = this.#new()
        this.#finish(seen, request.seen, false)
        this.#tell(request)
        return
      case 'null':
        request.hasLeft = request.isSignedOut = true
        request.seen = this.#new()
        request.leaving.push([seen, request.seen])
        return
      default:
        edit(seen.data, step)
    }
  }

  #end(request: Request, action: Action & { kind: 'end' }): void {
    this.#leave(request)
    const before = request.seen.known
    // If the handler fails, only awaited operations stand.
    if (action.status !== 500) this.#commit(request, { do: 'save' })
    this.#giveUp(request.seen)
    this.#prove(request, request.seen.known !== before)
    this.#tell(request)
    this.#requests.delete(action.client)
    const { answer } = request
    if (answer) (this.#jars[request.browser] as Jar).keep(answer.lasts === 0 ? undefined : answer.cookie?.id)
    this.notes.add(action, action.status, answer && this.notes.cookie(answer.cookie?.id, answer.lasts))
  }

  /** If no session replaced that of a user, remove the user from its tombstone. */
  #giveUp({ known, lost, before }: Seen): void {
    if (known || lost || !before?.ended || before.grave?.stone.user === undefined) return
    const { at, stone } = before.grave
    if (this.#found(at) === stone) this.#bury(at, stone.successor, 'login')
  }

  /** Check that the session in the answer is still live, unless the commit has just proved it. */
  #prove(request: Request, isShown: boolean): void {
    const { seen, had, isDue, isSignedOut } = request
    const { known, lost, id, before } = seen
    if (known && !lost) {
      const isTold = !same(had, { id, maxAge: known.maxAge, expiresAt: known.expiresAt })
      if (!isShown && (isTold || isDue)) this.#touch(seen)
      return
    }
    if (isSignedOut || !before?.ended || !before.grave) return
    const { at, stone } = before.grave
    const found = this.#found(at)
    // Another login has taken its place.
    if (found?.kind === 'tombstone' && found.successor !== stone.successor) seen.before = { ...before, ended: false }
  }

  #touch(seen: Seen): boolean {
    if (seen.lost || !seen.known) return false
    const found = this.#found(seen.id)
    if (found?.kind !== 'live') {
      seen.lost = { at: seen.id, stone: found }
      return false
    }
    if (found.version !== seen.known.version) this.#adopt(seen, found)
    const { createdAt, maxAge } = found
    seen.known = { ...found, seenAt: this.#now, expiresAt: expiry(this.#now, createdAt, maxAge) }
    this.#kept.set(seen.id, seen.known)
    return true
  }

  #leave(request: Request): void {
    for (const [seen, next] of request.leaving.splice(0)) this.#finish(seen, next, false)
  }

  /** End a session and its successors, as far as the request knows them. Returns the waiting messages. */
  #finish(seen: Seen, next: Seen, regenerated: boolean): readonly Message[] {
    const { lost } = seen
    if (!lost && !seen.known) {
      // It was never stored.
      next.before = seen.before
      return []
    }
    let at = lost?.at ?? seen.id
    let found: Kept | undefined = lost ? lost.stone : this.#found(at)
    let login: Grave | undefined
    for (;;) {
      while (found?.kind === 'tombstone') {
        // A double-clicked login does not end the first one.
        if (regenerated && found.login) {
          next.before = { seen, regenerated, ended: false, grave: { at, stone: found } }
          return []
        }
        login = found.reason === 'login' || found.reason === 'revoked' ? { at, stone: found } : undefined
        at = found.successor
        found = this.#found(at)
      }
      if (regenerated) login = undefined
      const now = login && this.#found(login.at)
      if (found || !login || now?.kind !== 'tombstone' || now === login.stone) break
      at = login.at
      found = now
    }
    let ended = found !== undefined
    let grave: Grave | undefined
    if (found && regenerated) grave = { at, stone: this.#bury(at, next.id, 'login', found.data.user) }
    else if (found) this.#kept.delete(at)
    // A login that has not stored its session yet cannot store it any more.
    if (login && this.#found(login.at) === login.stone) {
      this.#kept.delete(login.at)
      ended = true
    }
    next.before = { seen, regenerated, ended, grave }
    return found?.flash ?? []
  }

  #bury(id: string, successor: string, reason: Tombstone['reason'], user?: string): Tombstone {
    const login = reason !== 'rotation' && reason !== 'subject'
    const stone = { kind: 'tombstone', successor, login, reason, user, expiresAt: this.#now + times.tombstone } as const
    this.#kept.set(id, stone)
    return stone
  }

  #maxAge({ newMaxAge, known }: Seen): 'session' | number {
    return newMaxAge ?? known?.maxAge ?? 'session'
  }

  #isChanged(seen: Seen): boolean {
    const { known, data, queued } = seen
    if (queued.length > 0 || differing(known?.data ?? {}, data).length > 0) return true
    return known !== undefined && this.#maxAge(seen) !== known.maxAge
  }

  /** Take over the changes of other requests, and keep those of this one. */
  #adopt(seen: Seen, live: Live): void {
    rebase(seen.data, seen.known?.data ?? {}, live.data)
    seen.known = live
  }

  #store(seen: Seen, id: string, flash: readonly Message[], age: number): void {
    const maxAge = this.#maxAge(seen)
    const createdAt = start(this.#now, age, maxAge)
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
    const isUpdate = step.do === 'update' || step.do === 'remove'
    const isRotation = step.do === 'rotate'
    if (!isUpdate && !isRotation && !this.#isChanged(seen)) return true

    const found = seen.lost === undefined && seen.known ? this.#found(seen.id) : undefined
    const now = found?.kind === 'live' ? found : undefined
    if (seen.lost !== undefined || (seen.known && !now)) {
      seen.lost ??= { at: seen.id, stone: found?.kind === 'tombstone' ? found : undefined }
      // The session has ended, so the changes are dropped unless the request signed somebody in.
      const before = seen.known?.data ?? {}
      const tried = copy(seen.data)
      if (isUpdate) edit(tried, step)
      if (tried.user === undefined || tried.user === before.user || had(seen, tried.user)) return false
      const mine = differing(before, seen.data).filter(key => key in seen.data)
      const { id, createdAt } = this.#new()
      const data = Object.fromEntries(mine.map(key => [key, seen.data[key]]))
      const { lost } = seen
      Object.assign(seen, { id, createdAt, data, known: undefined, fresh: true, lost: undefined })
      if (lost.stone) this.#supersede(seen, lost)
    }

    if (now && now.version !== seen.known?.version) this.#adopt(seen, now)
    const unchanged = copy(seen.data)
    if (isUpdate) edit(seen.data, step)
    if (!seen.known) {
      // An empty new session is not stored.
      if (!this.#isChanged(seen)) return true
      if (!this.#mayCreate(seen)) {
        seen.data = unchanged
        return false
      }
      this.#store(seen, seen.id, [], seen.createdAt)
      if (!isRotation) return true
    }
    const { data, flash } = seen.known as Live
    const moved = seen.data.user !== data.user
    const rotates = isRotation || (moved && !seen.fresh)
    // Another request may have made the same change, which leaves nothing to write.
    if (!rotates && !this.#isChanged(seen)) {
      // It has seen the present times as well.
      if (isUpdate) seen.known = now ?? seen.known
      return true
    }
    const { id } = seen
    this.#store(seen, rotates ? this.#new().id : id, flash, moved ? this.#now : seen.createdAt)
    if (!rotates) return true
    this.#bury(id, seen.id, moved ? 'subject' : 'rotation')
    seen.fresh = true
    return true
  }

  /** A login ends the session if a mere rotation moved it, and leaves another login alone. */
  #supersede(seen: Seen, lost: NonNullable<Seen['lost']>): void {
    let { at } = lost
    let found: Kept | undefined = lost.stone
    while (found?.kind === 'tombstone' && found.reason === 'rotation') {
      at = found.successor
      found = this.#found(at)
    }
    if (found?.kind === 'live') {
      const grave = { at, stone: this.#bury(at, seen.id, 'login', found.data.user) }
      seen.before = { seen: undefined, regenerated: true, ended: true, grave }
    } else if (found?.login) {
      seen.before = { seen: undefined, regenerated: true, ended: false, grave: { at, stone: found } }
    }
  }

  /** Whether a session may replace the one before it. Without a login, a logout of that one is final. */
  #mayCreate(seen: Seen): boolean {
    const { before, data, id } = seen
    if (!before) return true
    const { user } = data
    const { grave, ended, regenerated } = before
    const isLogin = user !== undefined && !had(seen, user)
    const isFinal = grave ? grave.stone.reason !== 'confirmed' || user === undefined : regenerated || user !== undefined
    if (!isLogin && !ended && isFinal) {
      seen.lost = { at: grave?.at ?? id, stone: grave?.stone }
      return false
    }
    if (!grave || (isLogin && ended && grave.stone.successor === id && !hadUser(seen))) return true
    const now = this.#found(grave.at)
    const isLogged = now?.kind === 'tombstone' && now.login
    const isRevoked = isLogged && now.reason === 'revoked'
    const isCopy = user !== undefined && had(seen, user)
    const isOpen = isRevoked ? now.successor === grave.stone.successor && !isCopy : now === grave.stone
    // Beside a login that has stored its session: as long as that one lives.
    const isDouble = isLogged && now.reason === 'confirmed'
    const mayConfirm = isLogged && (isDouble ? this.#live(now.successor) !== undefined : isOpen)
    if (isLogged && (isLogin || mayConfirm)) {
      this.#bury(grave.at, id, 'confirmed')
      return true
    }
    if (!isLogin) seen.lost = { at: id, stone: undefined }
    return isLogin
  }

  /** Claim the messages of earlier requests. Nothing else is stored. */
  #take(request: Request): string[] {
    const { seen } = request
    const isOwn = ({ by }: Message) => by === request
    // The request knows the waiting messages from when it last saw the session.
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

  /** Put a new id or term on the answer, and remove one that is no longer valid. */
  #tell(request: Request): void {
    const { seen, hasLeft, isSignedOut, leaving } = request
    const { known, id, lost, before } = seen
    let cookie: Cookie | null
    if (known && lost === undefined) cookie = { id, maxAge: known.maxAge, expiresAt: known.expiresAt }
    else if (hasLeft && leaving.length === 0 && (isSignedOut || (!lost && before?.ended !== false))) cookie = null
    else {
      request.client = request.had
      request.answer = undefined
      return
    }
    if (same(request.client, cookie)) return
    const lasts = cookie && cookie.maxAge !== 'session' ? Math.max(cookie.expiresAt - this.#now, 0) : undefined
    request.client = cookie
    request.answer = { cookie, lasts }
  }
}
