import './failures/errors.js'
import './failures/store-failure.js'
import './failures/on-error.js'
