import { sqliteCases } from './sqlite-cases.js'

/** Runs all cases by the Node.js of this process, and prints a line for each. */
const [root = ''] = process.argv.slice(2)
const run = async ({ title, run }: { title: string; run(): Promise<void> }) => {
  const error = await run().then(
    () => undefined,
    thrown => String(thrown?.stack ?? thrown),
  )
  console.log(JSON.stringify({ title, error }))
}

const cases = sqliteCases(root)
for (const one of cases.filter(({ isAlone }) => isAlone)) await run(one)
await Promise.all(cases.filter(({ isAlone }) => !isAlone).map(run))
