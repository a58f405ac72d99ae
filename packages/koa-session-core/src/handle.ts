import type { Draft } from './draft.js'
import { checkMaxAge } from './options.js'
import type { MaxAge } from './record.js'
import type { SaveOptions, SessionCallback, SessionHandle } from './session.js'

/** The operations of a request on its sessions. */
interface Operations {
  touch(draft: Draft): Promise<boolean>
  save(draft: Draft, how: SaveOptions, callback?: SessionCallback): Promise<boolean>
  leave(draft: Draft, isLogin: boolean, callback?: SessionCallback): Promise<void>
}

/** One session object of a request. After `regenerate` and `destroy` there are several. */
export class Handle implements SessionHandle {
  readonly #request: Operations
  readonly #draft: Draft

  constructor(request: Operations, draft: Draft) {
    this.#request = request
    this.#draft = draft
  }

  get id(): string {
    return this.#draft.id
  }

  get key(): string {
    return this.#draft.key
  }

  get isNew(): boolean {
    return this.#draft.known === null
  }

  get createdAt(): number {
    return this.#draft.createdAt
  }

  get expiresAt(): number {
    return this.#draft.expiresAt
  }

  get maxAge(): MaxAge {
    return this.#draft.maxAge
  }

  set maxAge(value: MaxAge) {
    checkMaxAge('session.maxAge', value)
    this.#draft.newMaxAge = value
  }

  touch(): Promise<boolean> {
    return this.#request.touch(this.#draft)
  }

  save(how: SaveOptions, callback?: SessionCallback): Promise<boolean> {
    return this.#request.save(this.#draft, how, callback)
  }

  leave(isLogin: boolean, callback?: SessionCallback): Promise<void> {
    return this.#request.leave(this.#draft, isLogin, callback)
  }
}
