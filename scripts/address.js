// Where the repository is, in one place: `repository` of the root package.json. Writes `repository`, `homepage` and `bugs` into
// each published package, and makes the links of its README absolute, because npm shows it outside the repository.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The address in the package.json of `root`, or `undefined` while it is not decided. */
export function addressOf(root) {
  const { repository } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  return typeof repository === 'string' ? repository.replace(/\.git$|\/$/, '') : undefined
}

export function fillIn(root, address) {
  for (const folder of readdirSync(join(root, 'packages'))) {
    const at = join(root, 'packages', folder)
    const { license, ...rest } = JSON.parse(readFileSync(join(at, 'package.json'), 'utf8'))
    const { name, version, description, keywords, ...others } = rest
    const page = `${address}/tree/main/packages/${folder}`
    const filled = {
      ...{ name, version, description, keywords },
      homepage: `${page}#readme`,
      bugs: `${address}/issues`,
      repository: { type: 'git', url: `git+${address}.git`, directory: `packages/${folder}` },
      license,
      ...without(others, ['homepage', 'bugs', 'repository']),
    }
    writeFileSync(join(at, 'package.json'), `${JSON.stringify(filled, null, 2)}\n`)
    const readme = readFileSync(join(at, 'README.md'), 'utf8')
    writeFileSync(join(at, 'README.md'), absolute(readme, `${address}/blob/main/`, `packages/${folder}/`))
  }
}

/** The links of a README in `folder`, from `base` on. */
export function absolute(text, base, folder) {
  return text.replace(/(\]\(|src=")(\.\.?\/[^)"]*)/g, (_, start, path) => {
    const url = new URL(folder + path, 'file:///')
    return start + base + url.pathname.slice(1) + url.hash
  })
}

const without = (object, names) => Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)))

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const root = resolve(import.meta.dirname, '..')
  const address = addressOf(root)
  if (address === undefined) {
    console.error(
      'The address of the repository is not set. Set it in the root package.json, for example\n' +
        '  npm pkg set repository=https://example.com/owner/name\n' +
        'and run `npm run version`: it writes the address into every package.',
    )
    process.exit(1)
  }
  if (process.argv[2] !== '--check') fillIn(root, address)
  for (const folder of readdirSync(join(root, 'packages'))) {
    const { homepage = '' } = JSON.parse(readFileSync(join(root, 'packages', folder, 'package.json'), 'utf8'))
    if (!homepage.startsWith(`${address}/`)) {
      console.error(`packages/${folder} does not have the address yet: run \`npm run version\` and commit the result.`)
      process.exitCode = 1
    }
  }
}
