import type { Installable } from './engine.js'
import { isCi, isListed, unavailableVariable } from './provide.js'
import { findProgram, run } from './run.js'
import { installOnce, UnavailableError } from './supply.js'

/** The name in `--only` and in the output. */
export const chromiumName = 'chromium'

/** The environment variable that names the executable. */
export const chromiumVariable = 'CHROMIUM_PATH'

export interface Chromium {
  readonly path: string
  /** For people: name and version. */
  readonly label: string
}

/** The one without windows needs two thirds of the computing. */
const programs = ['chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

async function onThisMachine(): Promise<Chromium | undefined> {
  for (const name of programs) {
    const path = findProgram(name)
    // A script of that name may only tell how to install it.
    const said = path && (await run(path, ['--version']).catch(() => ''))
    const version = /Chrom\w* [\d.]+/.exec(said ?? '')?.[0]
    if (path && version) return { path, label: `${version} (${path})` }
  }
  return undefined
}

const recipe: Installable = {
  packages: async () => (findProgram(...programs) ? [] : ['chromium-headless-shell|chromium']),
}

/** Finds or installs it. */
export async function obtainChromium(): Promise<Chromium> {
  // First of all, so that the apt-get that installs the servers brings it too.
  const installed = installOnce([recipe])
  const found = (await onThisMachine()) ?? (await installed.then(onThisMachine))
  if (found) return found
  throw new UnavailableError(`there is no Chromium here. To get one: ${advice}`, [await installed])
}

const advice = `install it (Debian: apt-get install chromium; macOS: brew install --cask chromium), or set ${chromiumVariable} to its executable`

/**
 * The path of the executable that `CHROMIUM_PATH` names, else of one on this machine, else of one that is installed now.
 * `undefined`, with a warning, if there is none. With `CI=true` that is an error.
 */
export async function findChromium(): Promise<string | undefined> {
  const named = process.env[chromiumVariable]
  if (named) return named
  try {
    if (isListed(unavailableVariable, chromiumName)) throw new UnavailableError(`there is no Chromium here`)
    return (await obtainChromium()).path
  } catch (error) {
    if (!(error instanceof UnavailableError) || isCi()) throw error
    process.stderr.write(`\nSKIPPED: ${error.message}\n\n`)
    return undefined
  }
}
