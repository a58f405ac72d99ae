export { serve } from './serve.js'
export { SettingError, withSettings } from './settings.js'
export { openStore, storeNames } from './store.js'
