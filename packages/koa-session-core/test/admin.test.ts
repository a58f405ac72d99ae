import './admin/admin.js'
import './admin/adopt.js'
