import { type ServerKind, urlVariables } from './engine.js'
import { launchServer, type TestServer } from './server.js'
import { type Need, ServerUnavailableError, supplies } from './supply.js'

export interface StartOptions extends Need {
  /** Further arguments for the server program. */
  readonly args?: readonly string[]
}

/** Starts a private server of this kind, even if the environment names one. Rejects if none can start. */
export async function startServer(kind: ServerKind, options: StartOptions = {}): Promise<TestServer> {
  const supply = supplies([kind], options).get(kind)
  if (supply === undefined) throw new TypeError(`startServer: unknown kind ${JSON.stringify(kind)}`)
  return launchServer(await supply, options.args)
}

/** New servers of several kinds, started side by side, with one installation for all that is missing. */
export async function startServers<K extends ServerKind>(kinds: readonly K[]): Promise<Record<K, TestServer>> {
  supplies(kinds)
  const results = await Promise.allSettled(kinds.map(kind => startServer(kind)))
  const failed = results.find(result => result.status === 'rejected')
  if (failed) {
    await Promise.all(results.map(result => (result.status === 'fulfilled' ? result.value.end() : undefined)))
    throw failed.reason
  }
  const servers = results.flatMap((result, index) =>
    result.status === 'fulfilled' ? [[kinds[index], result.value] as const] : [],
  )
  return Object.fromEntries(servers) as Record<K, TestServer>
}

/** The kinds the command line could not get, so that each test process need not try again. */
export const unavailableVariable = 'TEST_SERVERS_UNAVAILABLE'

/** The kinds whose URL the command line gave, and whose server keeps its data in memory alone. */
export const volatileVariable = 'TEST_SERVERS_VOLATILE'

export const isListed = (variable: string, name: string) => process.env[variable]?.split(',').includes(name) ?? false

/** The URL of a server to share with other tests, in whatever names of its own a test keeps apart. */
export interface SharedServer {
  readonly kind: ServerKind
  readonly url: string
  readonly host: string
  readonly port: number
}

const started = new Map<string, Promise<TestServer>>()

/**
 * The server the environment names (`REDIS_URL` and so on), else one started for this process, which ends with it.
 * `undefined`, said loudly, when there is none to be had; under `CI=true` that is an error.
 */
export async function sharedServer(kind: ServerKind, need: Need = {}): Promise<SharedServer | undefined> {
  const text = process.env[urlVariables[kind]]
  if (text && !(need.durable && isListed(volatileVariable, kind))) {
    const url = new URL(text)
    return { kind, url: text, host: url.hostname, port: Number(url.port) }
  }
  try {
    if (isListed(unavailableVariable, kind)) throw new ServerUnavailableError(kind, [], need)
    const name = `${kind} ${need.durable ?? false}`
    const server = started.get(name) ?? startServer(kind, need)
    started.set(name, server)
    return await server
  } catch (error) {
    if (!(error instanceof ServerUnavailableError) || isCi()) throw error
    process.stderr.write(`\nSKIPPED: ${error.message}\n\n`)
    return undefined
  }
}

export function isCi(): boolean {
  return process.env.CI !== undefined && !['', '0', 'false'].includes(process.env.CI)
}
