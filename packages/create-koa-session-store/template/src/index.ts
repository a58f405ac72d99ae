export type { Client } from './client.js'
export type { AcmeStoreOptions } from './options.js'
export { acmeStore } from './store.js'
