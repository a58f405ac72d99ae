import { type ServerKind, ServerUnavailableError, startServer, type TestServer } from '@koa-session/test-servers'

/**
 * A server to be broken. `undefined`, said loudly, when there is none to be had; under `CI=true` that is an error.
 */
export async function ownServer(kind: ServerKind): Promise<TestServer | undefined> {
  try {
    return await startServer(kind)
  } catch (error) {
    if (!(error instanceof ServerUnavailableError) || !['', '0', 'false', undefined].includes(process.env.CI))
      throw error
    process.stderr.write(`\nSKIPPED: ${error.message}\n\n`)
    return undefined
  }
}
