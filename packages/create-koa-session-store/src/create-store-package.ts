import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { capitalized, type Names, namesFor } from './names.js'

export interface StorePackageOptions {
  /** Folder to write to, relative to the working directory. It must be missing or empty. */
  readonly folder: string
  /**
   * Name of the package on npm, which may have a scope.
   * @default `koa-session-store-` and the name of the folder
   */
  readonly name?: string
}

const template = fileURLToPath(new URL('../template/', import.meta.url))

/** Writes the package of a new store. Resolves to its names. */
export async function createStorePackage(options: StorePackageOptions): Promise<Names> {
  const folder = resolve(options.folder)
  const names = namesFor(folder, options.name)
  await requireEmpty(folder)
  const entries = await readdir(template, { recursive: true, withFileTypes: true })
  for (const entry of entries.filter(one => one.isFile())) {
    const source = join(entry.parentPath, entry.name)
    const target = join(folder, written(source.slice(template.length)))
    await mkdir(dirname(target), { recursive: true })
    await writeFile(target, renamed(await readFile(source, 'utf8'), names))
  }
  return names
}

async function requireEmpty(folder: string): Promise<void> {
  const found = await readdir(folder).catch(error => {
    if (error.code === 'ENOENT') return []
    throw error.code === 'ENOTDIR' ? new TypeError(`${folder} is a file: choose another name`) : error
  })
  // A repository that was cloned empty.
  if (found.some(name => name !== '.git')) throw new TypeError(`the folder ${folder} is not empty: choose another name`)
}

/** npm leaves hidden files out of packages, and a second `package.json` confuses tools, so both have other names here. */
const written = (path: string): string =>
  path.replace(/(^|[/\\])_/g, '$1.').replace('package.template.json', 'package.json')

/** The store of the template is called acme. */
const renamed = (text: string, names: Names): string =>
  text
    .replaceAll('koa-session-store-acme', names.package)
    .replaceAll('acmeStore', names.factory)
    .replaceAll('AcmeStore', capitalized(names.factory))
    .replaceAll('ACME', names.store.toUpperCase().replaceAll('-', '_'))
    .replaceAll('acme', names.store)
