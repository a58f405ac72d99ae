import {
  type ServerKind,
  ServerUnavailableError,
  type StartOptions,
  startServer,
  type TestServer,
} from '@koa-session/test-servers'

/**
 * A server to be broken. `undefined`, said loudly, when there is none to be had; under `CI=true` that is an error.
 */
export async function ownServer(kind: ServerKind, options?: StartOptions): Promise<TestServer | undefined> {
  try {
    return await startServer(kind, options)
  } catch (error) {
    if (!(error instanceof ServerUnavailableError) || !['', '0', 'false', undefined].includes(process.env.CI))
      throw error
    process.stderr.write(`\nSKIPPED: ${error.message}\n\n`)
    return undefined
  }
}
