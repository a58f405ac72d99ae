import { readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheFolder, withLock } from './cache.js'
import type { Engine, StandIn } from './engine.js'
import { mongoUrl, pingMongo } from './ping.js'
import { host } from './ports.js'
import { run } from './run.js'

const environment = join(cacheFolder, 'secantusdb')
const isComplete = () =>
  stat(join(environment, 'complete')).then(
    () => true,
    () => false,
  )

async function hasVenv(): Promise<boolean> {
  return run('python3', ['-c', 'import venv, ensurepip']).then(
    () => true,
    () => false,
  )
}

async function engine(): Promise<Engine> {
  const command = join(environment, 'bin', 'secantusd-py')
  // Where pip puts it. To ask pip itself costs half a second of computing.
  const [python = ''] = await readdir(join(environment, 'lib'))
  const installed = await readdir(join(environment, 'lib', python, 'site-packages'))
  return {
    label: `SecantusDB ${/^SecantusDB-(\S+)\.dist-info$/im.exec(installed.join('\n'))?.[1]} (${command})`,
    command,
    // Its threads wait for each other for ever when a dozen write at once.
    oneWriter: true,
    async prepare(folder, port) {
      // Named, so that it does not go looking for one of the user's.
      const config = join(folder, 'secantusd.toml')
      await writeFile(config, '')
      const place = ['--config', config, '--host', host, '--port', String(port), '--storage-path', join(folder, 'data')]
      return { url: mongoUrl(port), command, args: [...place, '--cache-size', '256M'], ping: pingMongo }
    },
  }
}

/** On disk, with a journal and a TTL monitor: for tests that kill the server. */
export const secantusdb: StandIn = {
  isDurable: true,
  packages: async () => ((await isComplete()) || (await hasVenv()) ? [] : ['python3', 'python3-venv']),
  async provide() {
    if (!(await isComplete())) {
      if (!(await hasVenv())) throw new Error('SecantusDB: there is no python3 with venv')
      await withLock('secantusdb', async () => {
        if (await isComplete()) return
        await rm(environment, { recursive: true, force: true })
        await run('python3', ['-m', 'venv', environment])
        const pip = join(environment, 'bin', 'pip')
        await run(pip, ['install', '--disable-pip-version-check', '--pre', 'SecantusDB>=0.7.0b3'])
        await writeFile(join(environment, 'complete'), '')
      })
    }
    return engine()
  },
}
