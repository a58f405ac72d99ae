import { execFile } from 'node:child_process'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { Block } from './blocks.js'
import { root } from './documents.js'

/** The names that a fragment may use without defining them. `run.ts` provides them at run time. */
const globals = `import type Router from '@koa/router'
import type Koa from 'koa'
import type { Sessions } from 'koa-session-core'
declare global {
  const app: Koa
  const router: Router
  const sessions: Sessions
}
`
/** Libraries without types. */
const untyped = ['cookie-signature', 'koa-passport', 'passport-local', 'vitest']
  .map(name => `declare module '${name}'\n`)
  .join('')

const config = {
  extends: join(root, 'tsconfig.base.json'),
  compilerOptions: {
    outDir: 'out',
    sourceMap: true,
    allowJs: true,
    checkJs: true,
    // A fragment shows a name without using it.
    noUnusedLocals: false,
    noUnusedParameters: false,
  },
}

/** A temporary folder in which the blocks of one document are files, with this repository's packages to import. */
export class Workplace {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  static async of(blocks: readonly Block[]): Promise<Workplace> {
    const folder = await mkdtemp(join(tmpdir(), 'koa-session-readme-'))
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
    const files = {
      'package.json': '{ "type": "module" }',
      'tsconfig.json': JSON.stringify(config),
      'globals.d.ts': globals,
      'untyped.d.ts': untyped,
      ...Object.fromEntries(blocks.map(({ file, code }) => [file, code])),
    }
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text, { flag: 'wx' })
    return new Workplace(folder)
  }

  /** The compiled file of a block. */
  path(file: string): string {
    return join(this.folder, 'out', file.replace(/\.ts$/, '.js'))
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }
}

/**
 * Compiles the blocks of all `workplaces` by one start of the compiler, each on its own, because documents give the same types
 * different members. Resolves to the complaints about each workplace; empty if there are none.
 */
export async function compile(...workplaces: readonly Workplace[]): Promise<string[]> {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const output = await new Promise<string>(done => {
    const args = [tsc, '-b', '--pretty', 'false', ...workplaces.map(({ folder }) => folder)]
    execFile(process.execPath, args, { cwd: tmpdir() }, (error, stdout, stderr) => {
      done(error ? stdout + stderr || String(error) : '')
    })
  })
  const complaints = workplaces.map(({ folder }) =>
    // A complaint begins with its file, and goes on in lines that are indented.
    (output.match(/^\S.*(\n\s+.*)*/gm) ?? []).filter(text => text.includes(basename(folder))).join('\n'),
  )
  if (output !== '' && complaints.every(text => text === '')) throw new Error(output)
  return complaints
}
