export { isWhole, kindOf, OptionCheck, type OptionNames, show } from './check.js'
export { storeHints } from './store-hints.js'
export { untilAborted } from './until-aborted.js'
