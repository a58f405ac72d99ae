import { execFile } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'

const require = createRequire(import.meta.url)
const compiler = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc')
const folder = fileURLToPath(new URL('../test/types', import.meta.url))

/** The compiler's complaints, and the files it read. Each line marked `@ts-expect-error` that compiles is a complaint. */
async function compile(project: string): Promise<{ complaints: string[]; files: string[] }> {
  const run = promisify(execFile)(process.execPath, [
    compiler,
    '-p',
    join(folder, project),
    '--listFiles',
    '--pretty',
    'false',
  ])
  const output = await run.then(
    ({ stdout }) => stdout,
    (error: { stdout: string }) => error.stdout,
  )
  const lines = output.split('\n').filter(Boolean)
  return {
    complaints: lines.filter(line => /error TS\d+/.test(line)),
    files: lines.filter(line => line.endsWith('.ts')),
  }
}

const worlds = [
  { types: '@types/koa 3', project: 'tsconfig.json', read: '/@types/koa/index.d.ts', not: '/types-koa-2/index.d.ts' },
  {
    types: '@types/koa 2',
    project: 'tsconfig.koa-2.json',
    read: '/types-koa-2/index.d.ts',
    not: '/@types/koa/index.d.ts',
  },
]
for (const { types, project, read, not } of worlds) {
  test(`ctx.session.userId needs no cast in app.use and in @koa/router handlers; mistakes do not compile (${types})`, async t => {
    const { complaints, files } = await compile(project)
    t.deepEqual(complaints, [])
    const has = (end: string) => files.some(file => file.endsWith(end))
    t.deepEqual([has(read), has(not)], [true, false])
    t.true(has('/test/types/session.ts') && has('/test/types/options.ts') && has('/koa-session-core/src/index.ts'))
  })
}
