export { isWhole, kindOf, OptionCheck, type OptionNames, show } from './check.js'
export { untilAborted } from './until-aborted.js'
