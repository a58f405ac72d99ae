export { type ServerKind, serverKinds, urlVariables } from './engine.js'
export { type SharedServer, type StartOptions, sharedServer, startServer, startServers } from './provide.js'
export type { TestServer } from './server.js'
export { ServerUnavailableError } from './supply.js'
