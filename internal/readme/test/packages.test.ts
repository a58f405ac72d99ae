import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import test from 'ava'

const root = new URL('../../../', import.meta.url)
const folders = await readdir(new URL('packages/', root))

for (const folder of folders) {
  test(`packages/${folder} says what npm shows, and has the files of a package here`, async t => {
    const at = new URL(`packages/${folder}/`, root)
    const manifest = JSON.parse(await readFile(new URL('package.json', at), 'utf8'))
    t.regex(manifest.description, /^.{20,120}$/)
    t.true(manifest.keywords.includes('koa') && manifest.keywords.includes('session'))
    t.like(manifest, { license: 'MIT', type: 'module', engines: { node: '>=20.19' } })
    t.true(existsSync(new URL('LICENSE', at)) && existsSync(new URL('README.md', at)), 'npm packs these by itself')
    t.true(manifest.files.length > 0)
    // A program has neither.
    if (manifest.bin) return
    t.false(manifest.sideEffects)
    for (const [path, target] of Object.entries<{ types?: string }>(manifest.exports)) {
      if (path !== './package.json') t.regex(target.types ?? '', /\.d\.ts$/, path)
    }
  })
}

test('links of the README of a package become absolute, and others stay', async t => {
  const { absolute } = await import(new URL('scripts/address.js', root).href)
  const text = '[a](../../docs/a.md#b) [b](#b) [c](https://example.org/) [d](src/d.ts) ![e](./e.png)'
  t.is(
    absolute(text, 'https://example.com/o/n/blob/main/', 'packages/core/'),
    '[a](https://example.com/o/n/blob/main/docs/a.md#b) [b](#b) [c](https://example.org/) [d](src/d.ts) ' +
      '![e](https://example.com/o/n/blob/main/packages/core/e.png)',
  )
  for (const folder of folders) {
    const readme = await readFile(new URL(`packages/${folder}/README.md`, root), 'utf8')
    const links = [...absolute(readme, 'https://example.com/', `packages/${folder}/`).matchAll(/\]\(([^)]*)\)/g)]
    for (const [, link = ''] of links) t.regex(link, /^(https:|#)/, folder)
  }
})
