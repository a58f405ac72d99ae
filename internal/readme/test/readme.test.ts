import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import test from 'ava'
import { conformanceCases } from 'koa-session-core/testkit'
import { blocksOf } from '../dist/blocks.js'
import { documents, root } from '../dist/documents.js'
import { run } from '../dist/run.js'
import { Workplace } from '../dist/workplace.js'

const all = await documents()
const blocksIn = (name: string) => blocksOf(all.find(document => document.name === name)?.text ?? '')

const guide = await Workplace.of(blocksIn('docs/writing-a-store.md'))
await guide.compile()
const { mapStore } = await import(pathToFileURL(guide.path('map-store.ts')).href)
test.after.always(() => guide.remove())

test.serial('the first example of README.md counts the views of one visitor', async t => {
  const [block] = blocksIn('README.md')
  const workplace = await Workplace.of(block ? [block] : [])
  t.teardown(() => workplace.remove())
  t.is(await workplace.compile(), '')
  t.deepEqual(await run(workplace.path(String(block?.file))), ['GET / 200 1 views', 'GET / 200 2 views'])
})

// One after another: blocks are given global variables and the working directory.
for (const { name } of all) {
  const blocks = blocksIn(name)
  if (blocks.length === 0) continue
  test.serial(`the code in ${name} compiles, and what can run here runs`, async t => {
    const workplace = await Workplace.of(blocks)
    t.teardown(() => workplace.remove())
    t.is(await workplace.compile(), '')
    process.chdir(workplace.folder)
    t.teardown(() => process.chdir(root))
    for (const { file, line, runs } of blocks) {
      if (!runs) continue
      for (const answer of await run(workplace.path(file))) {
        t.notRegex(answer, /^\w+ \S+ 5/, `an answer of the app at line ${line}`)
      }
    }
  })
}

for (const { title, run } of conformanceCases({ create: () => mapStore(), capabilities: [] })) {
  test(`the store in docs/writing-a-store.md: ${title}`, async t => {
    await t.notThrowsAsync(run())
  })
}

for (const { name, text } of all) {
  test(`the links in ${name} lead somewhere`, async t => {
    const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchor(heading))
    const missing: string[] = []
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue
      if (target.startsWith('#') && !headings.includes(target.slice(1))) missing.push(target)
      else if (!existsSync(join(root, dirname(name), target.replace(/#.*/, '')))) missing.push(target)
    }
    t.deepEqual(missing, [])
  })
}

/** A heading's id as GitHub makes it. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
}
