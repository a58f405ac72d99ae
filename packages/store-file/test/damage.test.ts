import { execFileSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import type { SessionRecord } from 'koa-session-core'
import { fileStore } from 'koa-session-store-file'

const root = await mkdtemp(join(tmpdir(), 'koa-session-file-'))
test.after.always(() => rm(root, { recursive: true, force: true }))

const warnings: string[] = []
// Not printed as well.
process.removeAllListeners('warning')
process.on('warning', ({ message, code }: NodeJS.ErrnoException) => {
  if (code === 'KOA_SESSION_FILE_SKIPPED') warnings.push(message)
})

const key = `ab${'1'.repeat(62)}`
const other = `ab${'2'.repeat(62)}`
const expiresAt = Date.now() + 3_600_000
const mine: SessionRecord = { data: 'mine, '.repeat(10_000), version: 'mine', seenAt: 1, expiresAt }
const theirs: SessionRecord = { data: 'theirs', version: 'theirs', seenAt: 1, expiresAt }
const fresh: SessionRecord = { data: 'fresh', version: 'fresh', seenAt: 1, expiresAt }

/** A store with two sessions in one shard, and where the first one's parts are. */
async function world() {
  const directory = await mkdtemp(join(root, 'damaged-'))
  const store = fileStore({ directory })
  await store.write(key, mine, null)
  await store.write(other, theirs, null)
  const shard = join(directory, 'ab')
  const recordFile = (await readdir(shard)).find(name => name.startsWith(`${key}.`)) ?? ''
  return { store, shard, folder: join(shard, key), file: join(shard, recordFile), otherFolder: join(shard, other) }
}

type World = Awaited<ReturnType<typeof world>>

const instead = async (path: string, make: (path: string) => unknown): Promise<void> => {
  await rm(path, { recursive: true })
  await make(path)
}
const fifo = (path: string) => execFileSync('mkfifo', [path])
const foreign = (path: string) => writeFile(path, 'something else\nof somebody else')

async function socket(path: string): Promise<void> {
  // Bound under a short name, for a socket's path may not be long; its file stays when the server is killed only.
  const code = 'require("net").createServer().listen("s", () => process.kill(process.pid, "SIGKILL"))'
  try {
    execFileSync(process.execPath, ['-e', code], { cwd: join(path, '..'), stdio: 'ignore' })
  } catch {
    execFileSync('mv', [join(path, '..', 's'), path])
  }
}

const copyOfOther = async ({ shard, file }: World): Promise<void> => {
  const otherFile = (await readdir(shard)).find(name => name.startsWith(`${other}.`)) ?? ''
  await cp(join(shard, otherFile), file)
}

const damages: Record<string, (world: World) => Promise<void>> = {
  'a missing record file': ({ file }) => rm(file),
  'an empty record file': ({ file }) => truncate(file, 0),
  'a record file torn in its header': ({ file }) => truncate(file, 40),
  'a record file torn in its data': ({ file }) => truncate(file, 20_000),
  'a record file with something appended': ({ file }) => writeFile(file, 'more', { flag: 'a' }),
  // Three gigabytes are more than Node reads at once: it must be known for damaged before.
  'a record file grown beyond all bounds': ({ file }) => truncate(file, 3 * 1024 ** 3),
  'a record file with a changed byte': async ({ file }) =>
    writeFile(file, (await readFile(file, 'utf8')).replace('mine, mine', 'mine; mine')),
  'a foreign file for a record file': ({ file }) => foreign(file),
  "another session's record file": copyOfOther,
  // To the very same content: it would read well if it was followed.
  'a symbolic link for a record file': async ({ file }) => {
    await rename(file, `${file}-moved`)
    await symlink(`${file}-moved`, file)
  },
  'a FIFO for a record file': ({ file }) => instead(file, fifo),
  'a socket for a record file': ({ file }) => instead(file, socket),
  'a directory for a record file': ({ file }) => instead(file, path => mkdir(path)),
  'a file for a folder': ({ folder }) => instead(folder, foreign),
  'a FIFO for a folder': ({ folder }) => instead(folder, fifo),
  "a symbolic link to another session's folder": ({ folder, otherFolder }) =>
    instead(folder, path => symlink(otherFolder, path)),
  'a symbolic link to an empty folder': ({ folder, shard }) =>
    instead(folder, async path => {
      await mkdir(join(shard, 'empty'))
      await symlink(join(shard, 'empty'), path)
    }),
}

for (const [damage, inflict] of Object.entries(damages)) {
  test(`${damage} is no session: it is reported once and can be replaced, and nobody else's data are read or lost`, async t => {
    const here = await world()
    const { store, shard } = here
    await inflict(here)

    t.is(await store.read(key), undefined)
    t.is(await store.read(key), undefined)
    t.is(await store.sweep(), 0)
    for await (const listed of store.keys()) if (listed !== key) t.is(listed, other)
    await new Promise(resolve => setImmediate(resolve))
    t.is(warnings.filter(message => message.includes(shard)).length, 1)

    t.true(await store.write(key, fresh, null))
    t.deepEqual(await store.read(key), fresh)
    await store.destroy(key)
    t.is(await store.read(key), undefined)
    t.deepEqual(await store.read(other), theirs)
  })
}

test('a folder that holds foreign files is no session, and to create one there is a clear error', async t => {
  const { store, folder } = await world()
  await store.destroy(key)
  await mkdir(folder)
  await foreign(join(folder, 'notes'))
  t.is(await store.read(key), undefined)
  await t.throwsAsync(store.write(key, fresh, null), { code: 'ENOTEMPTY', message: /foreign files/ })
  await store.destroy(key)
  t.is(await store.sweep(), 0)
  t.is(await readFile(join(folder, 'notes'), 'utf8'), 'something else\nof somebody else')
})

test('a foreign file beside the tag of a session does it no harm', async t => {
  const { store, folder } = await world()
  await foreign(join(folder, 'notes'))
  t.deepEqual(await store.read(key), mine)
  t.true(await store.write(key, fresh, 'mine'))
  t.deepEqual(await store.read(key), fresh)
  await store.destroy(key)
  t.is(await store.read(key), undefined)
})
