export type { MongoCollection } from './collection.js'
export { mongoStore } from './mongo-store.js'
export type { MongoStoreOptions } from './options.js'
