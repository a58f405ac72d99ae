import './flash/messages.js'
import './flash/once.js'
