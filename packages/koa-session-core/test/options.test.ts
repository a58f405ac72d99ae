import './options/options.js'
import './options/warnings.js'
import './options/restriction.js'
