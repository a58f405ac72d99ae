import type { Engine } from './engine.js'
import type { Live, MaxAge } from './record.js'
import { type RequestOptions, RequestSession } from './request-session.js'
import { assign, type SessionData } from './session.js'

/** A session that no request makes, not yet stored. Throws a `TypeError` for data that a session cannot have. */
export function newSession(
  engine: Engine,
  requests: RequestOptions,
  report: (error: unknown) => void,
  data: SessionData,
  { id, maxAge }: { readonly id?: string; readonly maxAge?: MaxAge | undefined } = {},
): { readonly id: string; readonly state: Live } {
  const request = new RequestSession(engine, requests, report)
  assign(request.session, data)
  const { draft } = request
  if (id !== undefined) draft.moveTo(id)
  draft.newMaxAge = maxAge
  return { id: draft.id, state: draft.compose(draft.key, draft.view()) }
}
