// The lockfile must work for everybody: it names no registry, and lists the packages of all platforms. npm omits packages that
// it cannot fetch, and `npm ci` on another platform then refuses the whole file.
import { readFileSync } from 'node:fs'

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'))
const nameOf = path => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
const names = new Set(Object.keys(packages).map(nameOf))

for (const [path, { resolved = '', optionalDependencies = {} }] of Object.entries(packages)) {
  if (/^\w+:/.test(resolved)) complain(`${path} names where it was fetched from: ${resolved}`)
  for (const name of Object.keys(optionalDependencies)) {
    if (!names.has(name)) complain(`${path} has the optional dependency ${name}, which is missing`)
  }
}

function complain(message) {
  console.error(`package-lock.json: ${message}`)
  process.exitCode = 1
}
