import { readdir, readFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'

export const root = resolve(import.meta.dirname, '../../..')

export interface Document {
  /** Relative to the repository. */
  readonly name: string
  readonly text: string
}

/** The Markdown documents for users and contributors. */
export async function documents(): Promise<Document[]> {
  const top = (await readdir(root)).filter(name => name.endsWith('.md')).map(name => join(root, name))
  const docs = (await readdir(join(root, 'docs'), { recursive: true })).map(name => join(root, 'docs', name))
  const packages = (await readdir(join(root, 'packages'))).map(name => join(root, 'packages', name, 'README.md'))
  const paths = [...top, ...docs.filter(path => path.endsWith('.md')), ...packages]
  return Promise.all(paths.map(async path => ({ name: relative(root, path), text: await readFile(path, 'utf8') })))
}
