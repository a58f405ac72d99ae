import { access } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import test from 'ava'
import { blocksOf } from '../src/blocks.js'
import { documents, root } from '../src/documents.js'
import { run } from '../src/run.js'
import { Workplace } from '../src/workplace.js'

for (const { name, text } of await documents()) {
  const blocks = blocksOf(text)

  if (blocks.length > 0) {
    // One after another: blocks are given global variables and the working directory.
    test.serial(`the code in ${name} compiles, and what can run here runs`, async t => {
      const workplace = await Workplace.of(blocks)
      t.teardown(() => workplace.remove())
      t.is(await workplace.compile(), '')
      process.chdir(workplace.folder)
      t.teardown(() => process.chdir(root))
      for (const { file, line, runs } of blocks) {
        if (!runs) continue
        for (const answer of await run(join(workplace.folder, file))) {
          t.notRegex(answer, /^\w+ \S+ 5/, `an answer of the app at line ${line}`)
        }
      }
    })
  }

  test(`the links in ${name} lead somewhere`, async t => {
    const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchor(heading))
    for (const [, target = ''] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^https?:/.test(target)) continue
      if (target.startsWith('#')) t.true(headings.includes(target.slice(1)), target)
      else await t.notThrowsAsync(access(join(root, dirname(name), target.replace(/#.*/, ''))), target)
    }
    t.pass()
  })
}

/** A heading's id as GitHub makes it. */
function anchor(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\w\- ]/g, '')
    .replaceAll(' ', '-')
}
