/** The kinds of server there are, in the order they are named everywhere. */
export const serverKinds = ['redis', 'postgres', 'mysql', 'mongo'] as const

export type ServerKind = (typeof serverKinds)[number]

/** The environment variable that names a server which is there already. */
export const urlVariables: Readonly<Record<ServerKind, string>> = {
  redis: 'REDIS_URL',
  postgres: 'POSTGRES_URL',
  mysql: 'MYSQL_URL',
  mongo: 'MONGODB_URL',
}

/** A server program found on this machine. */
export interface Engine {
  /** For people: name and version. */
  readonly label: string
  /** The program's full path. */
  readonly command: string
  /** Takes no more than one writer at a time. */
  readonly oneWriter?: boolean
  /** How far from its port it takes further ones. */
  readonly furtherPorts?: readonly number[]
  /** Makes the data in `folder`, which is new and private, and says how to run a server on it. */
  prepare(folder: string, port: number): Promise<Launch>
}

export interface Launch {
  readonly url: string
  readonly command: string
  readonly args: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  readonly uid?: number | undefined
  readonly gid?: number | undefined
  /** The quickest end that leaves nothing behind in the system. @default 'SIGKILL' */
  readonly endSignal?: NodeJS.Signals
  /** Whether the server on the port takes work now. */
  ping(port: number): Promise<boolean>
}

/** Something that the system's packages bring. */
export interface Installable {
  /** The Debian packages that are missing. Of `one|other` the first that this release has. */
  packages(): Promise<readonly string[]>
}

/** How one kind of server is had. */
export interface Recipe extends Installable {
  readonly kind: ServerKind
  /** The program on this machine, if it is there. */
  find(): Promise<Engine | undefined>
  /** The signal that ends it without waiting for its clients to leave. @default 'SIGTERM' */
  readonly stopSignal?: NodeJS.Signals
  /** The official image, where the program is not there. */
  readonly docker: DockerImage
  /** Programs of somebody else's, where there is no image either; the best first. */
  readonly standIns?: readonly StandIn[]
  /** Tells a person how to install it. */
  readonly advice: string
}

/** A program that speaks the protocol of the real one, and does not need the system's packages for itself. */
export interface StandIn extends Installable {
  /** Whether what it acknowledged outlives `kill -9`. */
  readonly isDurable: boolean
  /** Sets it up in the cache, once. Rejects with the reason when it cannot. */
  provide(): Promise<Engine>
}

export interface DockerImage {
  readonly image: string
  readonly port: number
  readonly environment: Readonly<Record<string, string>>
  readonly args: readonly string[]
  url(port: number): string
  ping(port: number): Promise<boolean>
}
