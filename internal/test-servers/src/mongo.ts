import { mkdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { cacheFolder, withLock } from './cache.js'
import type { Engine, Recipe } from './engine.js'
import { pingMongo } from './ping.js'
import { host } from './ports.js'
import { findProgram, run } from './run.js'

const url = (port: number) => `mongodb://${host}:${port}/test?directConnection=true`

/** A replica set of one: what transactions and `w: 'majority'` mean something on. */
function pingReplicaSet(member: (port: number) => string): (port: number) => Promise<boolean> {
  return async port => {
    if (await pingMongo(port)) return true
    const { MongoClient } = await import('mongodb')
    const client = new MongoClient(url(port), { serverSelectionTimeoutMS: 1_000 })
    // Refused while the server comes up, and when it was initiated before: the next ping tells.
    const command = { replSetInitiate: { _id: 'test', members: [{ _id: 0, host: member(port) }] } }
    await client
      .db('admin')
      .command(command)
      .catch(() => {})
    await client.close()
    return pingMongo(port)
  }
}

async function mongod(): Promise<Engine | undefined> {
  const command = findProgram('mongod')
  if (command === undefined) return undefined
  const version = /db version v(\S+)/.exec(await run(command, ['--version']))?.[1]
  return {
    label: `MongoDB ${version} (${command})`,
    command,
    async prepare(folder, port) {
      const data = join(folder, 'data')
      await mkdir(data)
      const place = ['--bind_ip', host, '--port', String(port), '--dbpath', data, '--nounixsocket']
      return {
        url: url(port),
        command,
        args: [...place, '--replSet', 'test', '--wiredTigerCacheSizeGB', '0.25'],
        ping: pingReplicaSet(own => `${host}:${own}`),
      }
    },
  }
}

const environment = join(cacheFolder, 'secantusdb')
const isComplete = () =>
  stat(join(environment, 'complete')).then(
    () => true,
    () => false,
  )

async function secantus(): Promise<Engine> {
  const command = join(environment, 'bin', 'secantusd-py')
  const installed = await run(join(environment, 'bin', 'pip'), ['list', '--format=freeze'])
  return {
    label: `SecantusDB ${/^SecantusDB==(\S+)/im.exec(installed)?.[1]} (${command})`,
    command,
    async prepare(folder, port) {
      // Named, so that it does not go looking for one of the user's.
      const config = join(folder, 'secantusd.toml')
      await writeFile(config, '')
      const place = ['--config', config, '--host', host, '--port', String(port), '--storage-path', join(folder, 'data')]
      return { url: url(port), command, args: [...place, '--cache-size', '256M'], ping: pingMongo }
    },
  }
}

async function hasVenv(): Promise<boolean> {
  return run('python3', ['-c', 'import venv, ensurepip']).then(
    () => true,
    () => false,
  )
}

export const mongo: Recipe = {
  kind: 'mongo',
  packages: async () =>
    findProgram('mongod') || (await isComplete()) || (await hasVenv()) ? [] : ['python3', 'python3-venv'],
  async find() {
    return (await mongod()) ?? ((await isComplete()) ? secantus() : undefined)
  },
  async fetch() {
    if (!(await hasVenv())) return undefined
    await withLock('secantusdb', async () => {
      if (await isComplete()) return
      await rm(environment, { recursive: true, force: true })
      await run('python3', ['-m', 'venv', environment])
      const pip = join(environment, 'bin', 'pip')
      await run(pip, ['install', '--disable-pip-version-check', '--pre', 'SecantusDB>=0.7.0b3'])
      await writeFile(join(environment, 'complete'), '')
    })
    return secantus()
  },
  docker: {
    image: 'mongo:8',
    port: 27017,
    environment: {},
    args: ['--replSet', 'test', '--bind_ip_all'],
    url,
    // Inside the container it knows itself by its own port.
    ping: pingReplicaSet(() => 'localhost:27017'),
  },
  advice: 'install MongoDB (mongod), or python3 with venv, from which SecantusDB is set up',
}
