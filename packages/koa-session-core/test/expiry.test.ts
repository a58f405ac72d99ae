import './expiry/expiry.js'
import './expiry/clocks.js'
