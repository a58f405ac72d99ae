import './http/request.js'
import './http/response.js'
import './http/response-headers.js'
import './http/thrown.js'
