export type { MongoCollection } from './client.js'
export { mongoStore } from './mongo-store.js'
export type { MongoStoreOptions } from './options.js'
