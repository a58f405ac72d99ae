import './memory/store.js'
import './memory/remembering.js'
