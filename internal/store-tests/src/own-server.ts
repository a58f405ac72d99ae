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

/** Resolves to the server of `start`. If it cannot start, resolves to `undefined` with a warning; with `CI=true` it rejects. */
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
