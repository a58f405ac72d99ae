export type { IoredisClient, NodeRedisClient, NodeRedisCluster, NodeRedisSentinel, RedisClient } from './clients.js'
export type { RedisStoreOptions } from './options.js'
export { redisStore } from './redis-store.js'
