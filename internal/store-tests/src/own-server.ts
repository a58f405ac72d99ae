import {
  type Need,
  type ServerKind,
  ServerUnavailableError,
  startServer,
  type TestServer,
} from '@koa-session/test-servers'

/** A server to be broken; `undefined` when there is none to be had. */
export const ownServer = (kind: ServerKind, need?: Need): Promise<TestServer | undefined> =>
  whenAvailable(() => startServer(kind, need))

/** What `start` gives. `undefined`, said loudly, when the server cannot be had; under `CI=true` that is an error. */
export async function whenAvailable<T>(start: () => Promise<T>): Promise<T | undefined> {
  try {
    return await start()
  } catch (error) {
    if (!(error instanceof ServerUnavailableError) || !['', '0', 'false', undefined].includes(process.env.CI))
      throw error
    process.stderr.write(`\nSKIPPED: ${error.message}\n\n`)
    return undefined
  }
}
