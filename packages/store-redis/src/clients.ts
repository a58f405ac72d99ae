/** The part of a client of ioredis or iovalkey that the store needs. `Redis` (with or without Sentinels) and `Cluster` have it. */
export interface IoredisClient {
  call(command: string, ...args: (string | number)[]): Promise<unknown>
  /** The nodes of a Cluster. */
  nodes?(role: 'master'): readonly Pick<IoredisClient, 'call'>[]
  readonly options?: { readonly keyPrefix?: string | undefined; readonly scaleReads?: unknown }
  /** The driver's record of the present or last connection. */
  readonly stream?: { readonly errored?: Error | null }
}

interface NodeRedisOptions {
  readonly typeMapping?: { readonly [type: number]: never }
}

interface NodeRedisBase {
  readonly isOpen: boolean
  readonly isReady?: boolean
  on?(event: string | symbol, listener: (error: Error) => void): unknown
}

/** The part of a client of node-redis that the store needs: `createClient`, `createClientPool`. */
export interface NodeRedisClient extends NodeRedisBase {
  sendCommand(args: string[], options?: NodeRedisOptions): Promise<unknown>
}

/** The same of `createCluster`. */
export interface NodeRedisCluster extends NodeRedisBase {
  readonly masters: readonly object[]
  nodeClient(master: never): unknown
  sendCommand(
    firstKey: string | undefined,
    isReadonly: boolean | undefined,
    args: string[],
    options?: NodeRedisOptions,
  ): Promise<unknown>
}

/** The same of `createSentinel`. */
export interface NodeRedisSentinel extends NodeRedisBase {
  getSentinelNode(): unknown
  sendCommand(isReadonly: boolean | undefined, args: string[], options?: NodeRedisOptions): Promise<unknown>
}

export type NodeRedis = NodeRedisClient | NodeRedisCluster | NodeRedisSentinel

/** A client of ioredis, iovalkey or node-redis. */
export type RedisClient = IoredisClient | NodeRedis

/** The commands that the store needs, whatever client sends them. */
export interface Commands {
  call(command: string, ...args: (string | number)[]): Promise<unknown>
  /** The client puts this in front of every key, but not of a pattern. */
  readonly keyPrefix: string
  /** One command cannot reach the keys of several nodes. */
  readonly isCluster: boolean
  /** GET may go to a replica, where a session that was ended may still live. EVALSHA goes to the master. */
  readonly readsReplicas: boolean
  masters(): Promise<readonly Pick<Commands, 'call'>[]>
  /** The reason to reject with, if `error` only says that the driver gave up. */
  reasonFor(error: unknown): unknown
  /** Why there is no connection, if there is none. */
  readonly lastError: unknown
}
