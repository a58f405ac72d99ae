export { serve } from './serve.js'
export { openStore, storeNames } from './store.js'
