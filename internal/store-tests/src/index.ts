export { type FaultOptions, faultCases } from './fault-cases.js'
export { ownServer } from './own-server.js'
export { type ProcessOptions, processCases, startProcesses } from './process-cases.js'
export type { OpenStore, StoreCase, TestedStore } from './tested-store.js'
