/**
 * npm run bench [-- --only=in-process,http] [--append] [--out=file]
 *
 * Runs the groups one after the other and prints Markdown. A run of all groups also replaces RESULTS.md; one of some groups
 * is added to it with `--append`.
 */
import { appendFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { parseArgs } from 'node:util'
import { groups } from './groups.js'
import { leaveServerCore } from './harness/cores.js'
import { machine } from './harness/machine.js'
import { removeFolder, serversUsed } from './harness/servers.js'

const { values } = parseArgs({
  options: { only: { type: 'string' }, append: { type: 'boolean' }, out: { type: 'string' } },
})
const chosen = values.only?.split(',') ?? Object.keys(groups).filter(name => !groups[name]?.isLong)
for (const name of chosen) {
  if (!Object.hasOwn(groups, name)) throw new TypeError(`--only takes ${Object.keys(groups).join(', ')}; not ${name}`)
}

const parts: string[] = []
function print(part: string): void {
  parts.push(part)
  process.stdout.write(`${part}\n\n`)
}

leaveServerCore()
// A million sessions fit, as a server in production would be set up.
process.env.TEST_SERVERS_MEMORY ??= '2048'
// On a disk, as in production.
process.env.TEST_SERVERS_FOLDER ??= tmpdir()
const started = performance.now()
print('# Results')
print(machine(`npm run bench${values.only === undefined ? '' : ` -- --only=${values.only}`}`))
for (const [name, { title, run }] of Object.entries(groups)) {
  if (!chosen.includes(name)) continue
  try {
    print(`## ${title}\n\n${await run()}`)
  } catch (error) {
    console.error(error)
    process.exitCode = 1
    print(`## ${title}\n\nThis group failed.`)
  }
}
const servers = serversUsed()
if (servers !== '') print(`Servers: ${servers}.`)
print(`It took ${((performance.now() - started) / 60_000).toFixed(1)} minutes.`)

await removeFolder()
const text = `${parts.join('\n\n')}\n`
const results = new URL('../RESULTS.md', import.meta.url)
if (values.append) await appendFile(results, `\n${text}`)
else if (values.out !== undefined || values.only === undefined) await writeFile(values.out ?? results, text)
// Servers of databases hold the process open; their watchdog ends them.
process.exit()
