import './data/data.js'
import './data/codec.js'
import './data/encryption.js'
