import { createHash, randomUUID } from 'node:crypto'
import { chown, mkdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheFolder, withLock } from './cache.js'
import { dataFolder } from './data-folder.js'
import { guard } from './guard.js'
import { run } from './run.js'

export interface Owner {
  readonly uid?: number | undefined
  readonly gid?: number | undefined
}

/** A folder of this process's own where servers have their data, guarded until `release` is called. */
export async function temporaryFolder(
  name: string,
  owner: Owner = {},
): Promise<{ folder: string; release: () => void }> {
  const folder = join(dataFolder(), `koa-session-${name}-${randomUUID()}`)
  // Guarded first: this process may end while the folder is made.
  const release = guard({ folder })
  await mkdir(folder, { mode: 0o700 })
  await give(folder, owner)
  return { folder, release }
}

export async function give(folder: string, { uid, gid }: Owner): Promise<void> {
  if (uid !== undefined && gid !== undefined) await chown(folder, uid, gid)
}

/** The user that runs a program which refuses to run as root. */
export async function unprivileged(): Promise<Owner> {
  if (process.getuid?.() !== 0) return {}
  for (const name of ['postgres', 'nobody']) {
    try {
      const ids = await Promise.all([run('id', ['-u', name]), run('id', ['-g', name])])
      return { uid: Number(ids[0]), gid: Number(ids[1]) }
    } catch {
      // The next one.
    }
  }
  throw new Error('it does not run as root, and there is neither a user "postgres" nor "nobody"')
}

/**
 * Copies a prepared data folder to `target`; made by `create` the first time. Initialising a database takes seconds, a
 * copy takes a fraction of one. `key` is all that the result depends on.
 */
export async function copyTemplate(
  key: string,
  target: string,
  owner: Owner,
  create: (folder: string) => Promise<void>,
): Promise<void> {
  const name = `data-${createHash('sha256').update(key).digest('hex').slice(0, 16)}`
  const template = join(cacheFolder, name)
  const exists = () =>
    stat(template).then(
      () => true,
      () => false,
    )
  if (!(await exists())) {
    await withLock(name, async () => {
      if (await exists()) return
      await mkdir(cacheFolder, { recursive: true, mode: 0o700 })
      // Not made in the cache itself, where another user has no way in.
      const { folder, release: releaseFolder } = await temporaryFolder('template', owner)
      const arriving = `${template}.${randomUUID()}`
      const release = [releaseFolder, guard({ folder: arriving })]
      try {
        await create(join(folder, 'data'))
        await run('cp', ['-pR', join(folder, 'data'), arriving])
        await rename(arriving, template)
      } finally {
        await rm(folder, { recursive: true, force: true })
        await rm(arriving, { recursive: true, force: true })
        for (const each of release) each()
      }
    })
  }
  await run('cp', ['-pR', template, target])
}
