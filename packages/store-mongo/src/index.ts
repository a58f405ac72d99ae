export type { MongoCollection } from './client.js'
export { type MongoStoreOptions, mongoStore } from './mongo-store.js'
