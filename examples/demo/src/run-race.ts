import { setTimeout } from 'node:timers/promises'
import { type Kind, kinds, type Outcome, requests } from './race.js'

/** How long the slow request has been under way when the visitor signs out, in milliseconds. */
const early = 400

export const races = ['requests', 'sign-out'] as const
export type Race = (typeof races)[number]

/** News of a race for one kind of session. The last one has a verdict. */
export interface Report {
  readonly kind: Kind
  readonly text: string
  readonly verdict?: 'right' | 'wrong'
  readonly reason?: string
}

type Tell = (report: Report) => void

/**
 * Runs a race on both kinds of session, and tells how it goes. The server sends the requests to itself, because a browser
 * sends only six at a time.
 */
export async function runRace(port: number, race: Race, tell: Tell): Promise<void> {
  const origin = `http://127.0.0.1:${port}`
  await Promise.all(kinds.map(kind => runOne(origin, kind, race, tell)))
}

async function runOne(origin: string, kind: Kind, race: Race, tell: Tell): Promise<void> {
  const base = `${origin}/race/${kind}`
  let cookie = ''
  const send = async (path: string, method = 'POST') => {
    const response = await fetch(base + path, { method, headers: { cookie } })
    if (!response.ok) throw new Error(`the demo answered itself with ${response.status}`)
    return response
  }
  const started = await send('/sign-in')
  cookie = started.headers.getSetCookie().join('; ').split(';', 1)[0] ?? ''
  if (race === 'requests') {
    tell({ kind, text: `${requests} requests sent` })
    let answered = 0
    const sendOne = async (number: number) => {
      await send(`/request/${number}`)
      tell({ kind, text: `${++answered} answered` })
    }
    await Promise.all(Array.from({ length: requests }, (_, index) => sendOne(index + 1)))
  } else {
    tell({ kind, text: 'a slow request began' })
    const late = send('/slow')
    await setTimeout(early)
    await send('/sign-out')
    tell({ kind, text: 'signed out' })
    await late
  }
  const outcome = (await (await send('', 'GET')).json()) as Outcome
  tell(race === 'requests' ? keptReport(kind, outcome) : endedReport(kind, outcome))
}

function keptReport(kind: Kind, { kept }: Outcome): Report {
  const lost = requests - kept
  const text = `kept ${kept}, lost ${lost}`
  return lost === 0
    ? { kind, text, verdict: 'right', reason: 'Each request added its change to what the others had saved.' }
    : { kind, text, verdict: 'wrong', reason: 'Each request saved its own copy, over what the others had saved.' }
}

function endedReport(kind: Kind, { isSignedIn }: Outcome): Report {
  return isSignedIn
    ? { kind, text: 'alive again', verdict: 'wrong', reason: 'The slow request saved its copy after the sign-out.' }
    : { kind, text: 'ended', verdict: 'right', reason: 'The slow request could not bring the session back.' }
}
