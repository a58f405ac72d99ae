import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cacheFolder, withLock } from './cache.js'
import type { StandIn } from './engine.js'
import { guard } from './guard.js'
import { mongoUrl, pingOldMongo } from './ping.js'
import { findProgram, run } from './run.js'

const version = '1.47.0'
const source = fileURLToPath(new URL('../src/mongo-java-server/MongoStandIn.java', import.meta.url))

/** The Java version that the library is written for. */
const java = '17'

/** Settings for a quick start on one thread, because the tests need the other core. */
const jvm = ['-Xmx1g', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1']

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>koa-session</groupId>
  <artifactId>test-servers</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>de.bwaldvogel</groupId>
      <artifactId>mongo-java-server</artifactId>
      <version>${version}</version>
    </dependency>
  </dependencies>
</project>
`

const hasTools = () => ['java', 'javac', 'mvn'].every(name => findProgram(name))

async function folder(): Promise<string> {
  const hash = createHash('sha256')
    .update(pom)
    .update(await readFile(source))
  return join(cacheFolder, `mongo-java-server-${hash.digest('hex').slice(0, 16)}`)
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  )

/** Has Maven fetch the library, and compiles what starts it. */
async function build(target: string): Promise<void> {
  const arriving = `${target}.${randomUUID()}`
  const release = guard({ folder: arriving })
  try {
    await mkdir(arriving)
    const file = join(arriving, 'pom.xml')
    await writeFile(file, pom)
    const output = `-DoutputDirectory=${arriving}`
    await run('mvn', ['--batch-mode', '--quiet', '--file', file, 'dependency:copy-dependencies', output])
    await run('javac', ['--release', java, '-cp', join(arriving, '*'), '-d', arriving, source])
    await rename(arriving, target)
  } finally {
    await rm(arriving, { recursive: true, force: true })
    release()
  }
}

/** In memory and atomic: for everything that does not ask for durability. */
export const mongoJavaServer: StandIn = {
  isDurable: false,
  packages: async () => (hasTools() || (await exists(await folder())) ? [] : ['default-jdk-headless', 'maven']),
  async provide() {
    const target = await folder()
    const command = findProgram('java')
    if (command === undefined) throw new Error('mongo-java-server: there is no java')
    if (!(await exists(target))) {
      if (!hasTools()) throw new Error('mongo-java-server: there is no javac or no mvn')
      await withLock('mongo-java-server', async () => {
        if (!(await exists(target))) await build(target)
      })
    }
    const jars = (await readdir(target)).filter(name => name.endsWith('.jar')).map(name => join(target, name))
    return {
      label: `mongo-java-server ${version} in memory (${command})`,
      command,
      prepare: async (_folder, port) => ({
        url: mongoUrl(port),
        command,
        args: [...jvm, '-cp', [target, ...jars].join(delimiter), 'MongoStandIn', String(port)],
        ping: pingOldMongo,
      }),
    }
  },
}
