/** The milliseconds that it takes to import these packages, one after the other. */
const begun = performance.now()
for (const name of process.argv.slice(2)) await import(name)
process.send(performance.now() - begun, () => process.exit())
