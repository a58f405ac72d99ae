import { type Engine, type Installable, type Recipe, type ServerKind, urlVariables } from './engine.js'
import { canInstall, hasDocker, hasImage, installPackages } from './install.js'
import { mongo } from './mongo.js'
import { mysql } from './mysql.js'
import { postgres } from './postgres.js'
import { redis } from './redis.js'

const recipes: Readonly<Record<ServerKind, Recipe>> = { redis, postgres, mysql, mongo }

/** The source of servers of one kind on this machine: a program, or else the official image. */
export interface Supply {
  readonly recipe: Recipe
  readonly engine?: Engine
  readonly label: string
}

export interface Need {
  /** Whether acknowledged writes survive `kill -9`. @default false */
  readonly durable?: boolean
}

export class UnavailableError extends Error {
  override readonly name: string = 'UnavailableError'

  constructor(message: string, reasons: readonly unknown[] = []) {
    const tried = reasons
      .filter(Boolean)
      .map(reason => `\n  tried: ${reason instanceof Error ? reason.message : reason}`)
    super(`${message}${tried.join('')}`)
  }
}

export class ServerUnavailableError extends UnavailableError {
  override readonly name = 'ServerUnavailableError'
  readonly kind: ServerKind

  constructor(kind: ServerKind, reasons: readonly unknown[], { durable = false }: Need = {}) {
    const { advice, docker } = recipes[kind]
    const ways = `${advice}, start Docker (${docker.image}), or set ${urlVariables[kind]} to an empty database`
    const what = durable ? `${kind} server that outlives kill -9` : `${kind} server`
    super(`there is no ${what} here. To get one: ${ways}`, reasons)
    this.kind = kind
  }
}

const known = new Map<string, Promise<Supply>>()
const waiting: Installable[] = []
let installing: Promise<unknown> = Promise.resolve()

/** For what is made of a program itself, which an image does not do. */
export async function localEngine(kind: ServerKind): Promise<{ recipe: Recipe; engine: Engine }> {
  const supply = await supplies([kind]).get(kind)
  if (supply?.engine === undefined) throw new ServerUnavailableError(kind, ['only an image is there'])
  return { recipe: supply.recipe, engine: supply.engine }
}

/** Finds, installs or fetches what starts these servers; each at most once per process. Never rejects itself. */
export function supplies(
  kinds: readonly ServerKind[],
  { durable = false }: Need = {},
): ReadonlyMap<ServerKind, Promise<Supply>> {
  const name = (kind: ServerKind) => `${kind} ${durable}`
  const unknown = kinds.filter(kind => !known.has(name(kind)))
  if (unknown.length > 0) {
    const installed = installOnce(unknown.map(kind => recipes[kind]))
    for (const kind of unknown) {
      const supply = obtain(recipes[kind], durable, installed)
      supply.catch(() => {})
      known.set(name(kind), supply)
    }
  }
  return new Map(kinds.map(kind => [kind, known.get(name(kind)) as Promise<Supply>]))
}

/** Resolves to what went wrong, if anything. What is asked for in one go is installed in one go. */
export function installOnce(wanted: readonly Installable[]): Promise<unknown> {
  if (!canInstall()) return Promise.resolve('apt-get: only as root on Debian')
  waiting.push(...wanted)
  installing = installing.then(before => {
    if (waiting.length === 0) return before
    return installPackages(waiting.splice(0)).catch(error => error)
  })
  return installing
}

async function obtain(recipe: Recipe, durable: boolean, installed: Promise<unknown>): Promise<Supply> {
  const reasons: unknown[] = []
  // Only for those that miss something: the others need not wait for the system's packages.
  if ((await recipe.packages()).length > 0) reasons.push((await installed) ?? [])
  const { docker, standIns = [] } = recipe
  const engine = await recipe.find().catch(error => void reasons.push(error))
  if (engine) return { recipe, engine, label: engine.label }
  // An image that cannot be fetched is found out now where something else would do.
  if (await (standIns.length > 0 ? hasImage(docker.image) : hasDocker())) {
    return { recipe, label: `Docker ${docker.image}` }
  }
  reasons.push('docker: no engine answers, or it cannot get the image')
  for (const standIn of standIns.filter(each => each.isDurable || !durable)) {
    const engine = await standIn.provide().catch(error => void reasons.push(error))
    if (engine) return { recipe, engine, label: engine.label }
  }
  throw new ServerUnavailableError(recipe.kind, reasons.flat(), { durable })
}
