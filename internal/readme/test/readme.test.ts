import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { dirname, extname, join, relative } from 'node:path'
import { pathToFileURL } from 'node:url'
import test, { type ExecutionContext } from 'ava'
import Koa from 'koa'
import { session } from 'koa-session-core'
import { conformanceCases } from 'koa-session-core/testkit'
import { blocksOf } from '../dist/blocks.js'
import { documents, root } from '../dist/documents.js'
import { run } from '../dist/run.js'
import { compile, Workplace } from '../dist/workplace.js'
import { metricsTest } from './metrics.js'
import { websocketTests } from './websockets.js'

const all = await documents()
const blocksIn = (name: string) => blocksOf(all.find(document => document.name === name)?.text ?? '')

const withCode = all.filter(({ text }) => blocksOf(text).length > 0)
const workplaces = await Promise.all(withCode.map(({ text }) => Workplace.of(blocksOf(text))))
// A module runs once, and these are run twice.
const first = blocksIn('README.md').slice(0, 2)
// The second block is added to the file of the first one.
const [app, added] = blocksIn('docs/getting-started.md')
const started = [{ line: 1, file: 'app.ts', runs: true, code: `${app?.code}\n${added?.code}` }]
const sockets = blocksIn('docs/websockets.md')
const metrics = blocksIn('docs/operating.md').filter(({ file }) => file === 'metrics.ts')
const apps = [
  await Workplace.of(first),
  await Workplace.of(started),
  await Workplace.of(sockets),
  await Workplace.of(metrics),
] as const
const [firstComplaints, startedComplaints, , , ...complaints] = await compile(...apps, ...workplaces)
const guide = workplaces[withCode.findIndex(({ name }) => name === 'docs/writing-a-store.md')] as Workplace
const { mapStore } = await import(pathToFileURL(guide.path('map-store.ts')).href)
test.after.always(() => Promise.all([...apps, ...workplaces].map(workplace => workplace.remove())))

test.serial('the first app of README.md, in JavaScript and in TypeScript, counts the views of one browser', async t => {
  t.is(firstComplaints, '')
  t.deepEqual(
    first.map(({ file }) => extname(file)),
    ['.js', '.ts'],
  )
  for (const { file } of first) {
    t.deepEqual(await run(apps[0].path(file)), [
      'GET / 200 1 views',
      'GET /favicon.ico 404 Not Found',
      'GET / 200 2 views',
      'GET / 200 3 views',
    ])
  }
})

test.serial(
  'the app of docs/getting-started.md signs in and out, shows each message once, and counts clicks',
  async t => {
    t.is(startedComplaints, '')
    const answers = await run(apps[1].path(String(started[0]?.file)), [
      ['POST', '/sign-in', 'user=eve'],
      ['GET', '/'],
      ['POST', '/sign-in', 'user=ada'],
      ['GET', '/'],
      ['GET', '/'],
      ['POST', '/sign-out'],
      ['GET', '/'],
      ['POST', '/click'],
      ['POST', '/click'],
      ['GET', '/click'],
    ])
    const shown = answers.map(
      answer => /unknown|Welcome|Goodbye|You are ada|Clicks: \d/g[Symbol.match](answer)?.join() ?? '',
    )
    t.deepEqual(shown, ['', 'unknown', '', 'Welcome,You are ada', 'You are ada', '', 'Goodbye', '', '', 'Clicks: 2'])
  },
)

websocketTests(sockets, apps[2])
metricsTest(apps[3])

// One after another: blocks are given global variables and the working directory.
for (const [nth, { name, text }] of withCode.entries()) {
  test.serial(`the code in ${name} compiles, and what can run here runs`, async t => {
    const workplace = workplaces[nth] as Workplace
    t.is(complaints[nth], '')
    process.chdir(workplace.folder)
    t.teardown(() => process.chdir(root))
    for (const { file, line, runs } of blocksOf(text)) {
      if (!runs) continue
      for (const answer of await run(workplace.path(file))) {
        t.notRegex(answer, /^\w+ \S+ 5/, `an answer of the app at line ${line}`)
      }
    }
  })
}

test('an app that counts views leaves out what browsers ask for by themselves', async t => {
  const template = 'packages/create-koa-session-store/template/README.md'
  const texts = [...all, { name: template, text: readFileSync(join(root, template), 'utf8') }]
  const counting = texts.flatMap(({ name, text }) =>
    blocksOf(text)
      .filter(({ code }) => /^app\.use\((async )?ctx =>/m.test(code) && code.includes('views'))
      .map(({ code, line }) => ({ code, at: `${name}:${line}` })),
  )
  t.true(counting.length > stores.length)
  t.deepEqual(
    counting.filter(({ code }) => !code.includes("if (ctx.path !== '/') return")).map(({ at }) => at),
    [],
  )
})

test('a block that is saved as a file is named in the text, because a page does not show what stands behind its fence', t => {
  const named = all.flatMap(({ name, text }) =>
    blocksOf(text)
      .filter(({ file, line }) => !file.startsWith(`line-${line}.`))
      .map(({ file, line }) => ({
        file,
        before: proseOf(
          text
            .split('\n')
            .slice(0, line - 1)
            .join('\n'),
        ),
        name,
      })),
  )
  t.true(named.length > 10)
  t.deepEqual(
    named.filter(({ file, before }) => !before.includes(`\`${file}\``)).map(({ name, file }) => `${name}: ${file}`),
    [],
  )
})

/** A document without its blocks, of which the last one may be open. */
const proseOf = (text: string): string => text.replaceAll(/^ *```[^]*?(^ *```|(?![^]))/gm, '')

test.serial('the SQLite file of a database of your own is only for its user, as that of path is', async t => {
  const name = 'packages/store-sqlite/README.md'
  const block = blocksIn(name).find(({ code }) => code.includes("from 'libsql'"))
  t.truthy(block)
  const { folder } = workplaces[withCode.findIndex(document => document.name === name)] as Workplace
  process.chdir(folder)
  t.teardown(() => process.chdir(root))
  // Another test may have run it, and a module runs once.
  await run(join(folder, 'out', `${block?.file.replace(/\.ts$/, '.js')}`))
  const files = readdirSync(folder).filter(file => file.startsWith('sessions.db'))
  t.true(files.length > 0)
  for (const file of files) t.is(statSync(join(folder, file)).mode & 0o777, 0o600, file)
})

for (const { title, run } of conformanceCases({ create: () => mapStore(), capabilities: [] })) {
  test(`the store in docs/writing-a-store.md: ${title}`, async t => {
    await t.notThrowsAsync(run())
  })
}

/** The anchors of each document. */
const anchors = new Map(all.map(({ name, text }) => [name, new Set(anchorsOf(text))]))

const stores = ['file', 'mongo', 'mysql', 'postgres', 'redis', 'sqlite']

/** The names that the message about an unknown option lists. */
function optionsOf(t: ExecutionContext, make: (options: object) => unknown, options: object): string[] {
  const { message } = t.throws(() => make(options), { instanceOf: TypeError })
  return /the options are (.*)$/m.exec(message)?.[1]?.split(', ') ?? []
}

test('every option, error and warning of the core has its anchor in the reference', t => {
  const known = anchors.get('packages/koa-session-core/README.md')
  const wanted = [
    ...optionsOf(t, session, { unknownOne: 1 }).map(name => `option-${name}`),
    ...optionsOf(t, session, { cookie: { unknownOne: 1 } }).map(name => name.replace('.', '-')),
    ...codesIn('packages/koa-session-core', /'((?:ERR|KOA)_SESSION_\w+)'|^ {2}(ERR_SESSION_\w+):/gm),
  ]
  t.true(wanted.length > 40)
  t.deepEqual(
    wanted.filter(name => !known?.has(name.toLowerCase())),
    [],
  )
})

test('every option of a store has its anchor in its README', async t => {
  for (const store of stores) {
    const { [`${store}Store`]: make } = await import(`koa-session-store-${store}`)
    const names = optionsOf(t, make, { unknownOne: 1 })
    t.true(names.length > 0)
    for (const name of names) {
      t.true(anchors.get(`packages/store-${store}/README.md`)?.has(`option-${name.toLowerCase()}`), `${store} ${name}`)
    }
  }
})

test('every default in docs/security.md is the one of the code', async t => {
  const text = all.find(({ name }) => name === 'docs/security.md')?.text ?? ''
  const rows = Array.from(text.matchAll(/^\| \[`(\w+)`\]\(\S+\) \| `([^`]+)` \|/gm), ([, name, value]) => [name, value])
  const { resolveOptions } = await import(pathToFileURL(join(root, 'packages/koa-session-core/dist/options.js')).href)
  const resolved: Record<string, unknown> = resolveOptions({})
  const simple = Object.entries(resolved).filter(([, value]) => ['number', 'string'].includes(typeof value))
  const shown = rows.map(([name, value = '']) => [
    name,
    value.startsWith("'") ? value.slice(1, -1) : Number(value.replaceAll('_', '')),
  ])
  t.deepEqual(shown.sort(), simple.sort())

  const app = new Koa().use(session())
  app.use(ctx => {
    Object.assign(ctx.session, { user: 'ada' })
  })
  app.proxy = true
  const server = app.listen(0, '127.0.0.1')
  t.teardown(() => server.close())
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const answer = await fetch(`http://127.0.0.1:${port}/`, { headers: { 'x-forwarded-proto': 'https' } })
  const cookie = answer.headers
    .getSetCookie()
    .join()
    .replace(/=[\w-]{43};/, '=<id>;')
  t.true(text.includes(`\n${cookie}\n`), cookie)
})

test('every warning of a store is in its README and among the warnings of the reference', t => {
  for (const store of stores) {
    const folder = `packages/store-${store}`
    for (const code of codesIn(folder, /'(KOA_SESSION_\w+)'/g)) {
      t.true(anchors.get('packages/koa-session-core/README.md')?.has(code.toLowerCase()), code)
      t.true(all.find(({ name }) => name === `${folder}/README.md`)?.text.includes(code), code)
    }
  }
})

/** The codes that the sources of a package name. */
function codesIn(folder: string, pattern: RegExp): string[] {
  const src = join(root, folder, 'src')
  const texts = readdirSync(src, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => readFileSync(join(src, name), 'utf8'))
  return [...new Set(texts.flatMap(text => Array.from(text.matchAll(pattern), ([, a, b]) => String(a ?? b))))]
}

for (const { name, text } of all) {
  test(`the links in ${name} lead somewhere`, async t => {
    const missing: string[] = []
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? join(root, name) : join(root, dirname(name), path)
      const known = anchors.get(relative(root, file))
      if (!existsSync(file) || (anchor !== undefined && known?.has(anchor) === false)) missing.push(target)
    }
    t.deepEqual(missing, [])
  })
}

/** The ids that GitHub gives to headings, and those that the text sets itself. */
function anchorsOf(text: string): string[] {
  const headings = Array.from(text.matchAll(/^#+ (.*)$/gm), ([, heading = '']) => anchorOf(heading))
  return [...headings, ...Array.from(text.matchAll(/<a id="([^"]+)">/g), ([, id = '']) => id)]
}

function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
}
