import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { DockerImage, Engine, Recipe, StandIn } from './engine.js'
import { hasImage } from './install.js'
import { mongoJavaServer } from './mongo-java-server.js'
import { mongoUrl, pingMongo } from './ping.js'
import { host } from './ports.js'
import { findProgram, run } from './run.js'
import { secantusdb } from './secantusdb.js'

/** A replica set of one member, because transactions and `w: 'majority'` need a replica set. */
function pingReplicaSet(member: (port: number) => string): (port: number) => Promise<boolean> {
  return async port => {
    if (await pingMongo(port)) return true
    const { MongoClient } = await import('mongodb')
    const client = new MongoClient(mongoUrl(port), { serverSelectionTimeoutMS: 1_000 })
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
        url: mongoUrl(port),
        command,
        args: [...place, '--replSet', 'test', '--wiredTigerCacheSizeGB', '0.25'],
        ping: pingReplicaSet(own => `${host}:${own}`),
      }
    },
  }
}

/** The atomic one first: races need it. */
const standIns: readonly StandIn[] = [mongoJavaServer, secantusdb]

const docker: DockerImage = {
  image: 'mongo:8',
  port: 27017,
  environment: {},
  args: ['--replSet', 'test', '--bind_ip_all'],
  url: mongoUrl,
  // Inside the container it knows itself by its own port.
  ping: pingReplicaSet(() => 'localhost:27017'),
}

export const mongo: Recipe = {
  kind: 'mongo',
  async packages() {
    if (findProgram('mongod') || (await hasImage(docker.image))) return []
    return (await Promise.all(standIns.map(each => each.packages()))).flat()
  },
  find: mongod,
  docker,
  standIns,
  advice:
    'install MongoDB (mongod), or what stands in for it is made of: a JDK 17 and Maven, and python3 with venv for tests that kill it',
}
