import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formsFound } from '@koa-session/behaviour/encodings'
import test from 'ava'
import { isSessionError, type SessionData, type SessionRecord, type StoreCall, session } from 'koa-session-core'
import { fileStore } from 'koa-session-store-file'

const root = await mkdtemp(join(tmpdir(), 'koa-session-file-'))
test.after.always(() => rm(root, { recursive: true, force: true }))

const key = 'e'.repeat(64)
const record = (version: string): SessionRecord => ({
  data: `the data of ${version}`,
  version,
  seenAt: 1,
  expiresAt: Date.now() + 60_000,
})

test('construction does no I/O', async t => {
  const directory = join(root, 'construction')
  fileStore({ directory })
  t.deepEqual(
    (await readdir(root)).filter(name => name === 'construction'),
    [],
  )
})

test('looking for a session makes no directory', async t => {
  const directory = join(root, 'looking')
  const store = fileStore({ directory })
  t.is(await store.read(key), undefined)
  t.false(await store.touch(key, { seenAt: 1, expiresAt: Date.now() + 1 }, 'none'))
  t.false(await store.write(key, record('a'), 'none'))
  await store.destroy(key)
  t.is(await store.sweep(), 0)
  for await (const key of store.keys()) t.fail(key)
  t.deepEqual(
    (await readdir(root)).filter(name => name === 'looking'),
    [],
  )
})

test('directories have mode 0700 and files 0600, however open the umask is', async t => {
  const directory = join(root, 'new', 'modes')
  const store = fileStore({ directory })
  const umask = process.umask(0)
  try {
    await store.write(key, record('a'), null)
    await store.write(key, record('b'), 'a')
    await store.touch(key, { seenAt: 2, expiresAt: Date.now() + 60_000 }, 'b')
  } finally {
    process.umask(umask)
  }
  const modes = new Set<string>()
  for (const entry of await readdir(join(root, 'new'), { recursive: true, withFileTypes: true })) {
    const { mode } = await stat(join(entry.parentPath, entry.name))
    modes.add(`${entry.isDirectory() ? 'directory' : 'file'} ${(mode & 0o777).toString(8)}`)
  }
  t.deepEqual([...modes].sort(), ['directory 700', 'file 600'])
})

test('the mode of a directory that is there is left alone', async t => {
  const directory = join(root, 'given')
  await mkdir(directory)
  await chmod(directory, 0o750)
  await fileStore({ directory }).write(key, record('a'), null)
  t.is((await stat(directory)).mode & 0o777, 0o750)
})

test('the directory is taken from where the process was at construction, and is sessions when nothing is said', async t => {
  const before = process.cwd()
  process.chdir(root)
  const store = fileStore()
  process.chdir(before)
  await store.write(key, record('a'), null)
  t.deepEqual((await readdir(join(root, 'sessions'))).sort(), ['due', 'ee'])
})

test('a directory removed while the store is in use is made again', async t => {
  const directory = join(root, 'removed')
  const store = fileStore({ directory })
  await store.write(key, record('a'), null)
  await rm(directory, { recursive: true })
  t.is(await store.read(key), undefined)
  t.true(await store.write(key, record('b'), null))
  t.is((await store.read(key))?.version, 'b')
})

test('a wrong or unknown option is a TypeError that names the option and the rule', t => {
  for (const value of ['', 42, null, 'a\0b', ['a']]) {
    t.throws(() => fileStore({ directory: value as never }), {
      instanceOf: TypeError,
      message: /^fileStore\(\): option directory must be a non-empty string.*, got /,
    })
  }
  const misspelt = { dir: '/var/sessions' } as never
  t.throws(() => fileStore(misspelt), {
    instanceOf: TypeError,
    message: 'fileStore(): option dir is unknown: did you mean directory?',
  })
  t.throws(() => fileStore(null as never), {
    instanceOf: TypeError,
    message: 'fileStore() takes an object of options, got null',
  })
})

test('a key that is no key is refused, so that none leads out of the directory', async t => {
  const store = fileStore({ directory: join(root, 'keys') })
  for (const wrong of ['', '../../etc/passwd', 'E'.repeat(64), `${key}/`, `${key}\n`]) {
    await t.throwsAsync(store.read(wrong), { instanceOf: TypeError })
    await t.throwsAsync(store.write(wrong, record('a'), null), { instanceOf: TypeError })
    await t.throwsAsync(store.touch(wrong, { seenAt: 1, expiresAt: 1 }, 'a'), { instanceOf: TypeError })
    await t.throwsAsync(store.destroy(wrong), { instanceOf: TypeError })
  }
})

test('a call aborted while others are before it on its key ends at once and does nothing', async t => {
  const store = fileStore({ directory: join(root, 'aborted') })
  const aborter = new AbortController()
  const before = store.write(key, record('a'), null)
  const waiting = store.write(key, record('b'), 'a', { signal: aborter.signal })
  const reason = new Error('no longer wanted')
  aborter.abort(reason)
  t.is(await Promise.race([before, waiting.catch(error => error)]), reason)
  t.true(await before)
  t.true(await store.write(key, record('c'), 'a'))
})

test('calls on one key in one process take turns: of many creators the first wins', async t => {
  const store = fileStore({ directory: join(root, 'turns') })
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, n) => store.write(key, record(`version ${n}`), null)),
  )
  t.is(answers.filter(Boolean).length, 1)
  t.true(answers[0], 'the first to come is the first to go')
})

test('no call makes an AbortSignal, and each rejects with the reason that onAbort gives', async t => {
  const store = fileStore({ directory: join(root, 'cheap') })
  const callThat = (onAbort: NonNullable<StoreCall['onAbort']>): StoreCall => ({
    onAbort,
    get signal(): never {
      throw new Error('a signal was made')
    },
  })
  const patient = callThat(() => () => {})
  t.true(await store.write(key, record('a'), null, patient))
  t.is((await store.read(key, patient))?.version, 'a')
  t.true(await store.touch(key, { seenAt: 2, expiresAt: Date.now() + 600_000 }, 'a', patient))
  for await (const listed of store.keys(patient)) t.is(listed, key)
  t.is(await store.sweep(patient), 0)
  await store.destroy(key, patient)

  const reason = new Error('too late')
  const aborted = callThat(listener => {
    listener(reason)
    return () => {}
  })
  t.is(await t.throwsAsync(store.write(key, record('b'), null, aborted)), reason)
  t.is(await t.throwsAsync(store.read(key, aborted)), reason)
  t.is(await t.throwsAsync(store.sweep(aborted)), reason)
  t.is(await store.read(key), undefined)
})

test('records of every size come back whole, also those that end where a read of the disk does', async t => {
  const store = fileStore({ directory: join(root, 'sizes') })
  const sizes = [0, 1, 16_000, 100_000, ...Array.from({ length: 64 }, (_, n) => 16_384 - 220 + n)]
  await Promise.all(
    sizes.map(async (size, n) => {
      const own = n.toString(16).padStart(64, '0')
      await store.write(own, { ...record('a'), data: 'x'.repeat(size) }, null)
      t.is((await store.read(own))?.data.length, size)
    }),
  )
})

test('the reason of a failure is named, with the path and without the key', async t => {
  const file = join(root, 'a-file')
  await writeFile(file, '')
  const sessions = session({ store: fileStore({ directory: file }) })
  const error = await t.throwsAsync(sessions.create({}))
  t.true(isSessionError(error) && error.code === 'ERR_SESSION_STORE')
  t.regex(error?.message ?? '', /^store file: write failed: (ENOTDIR|EEXIST): [a-z ]+, \w+ '/)
  t.true(error?.message.includes(file))
  t.notRegex(`${error?.message} ${error?.cause}`, /[0-9a-f]{16}/)
})

test('a dump of the directory, file names included, contains neither an id nor a subject', async t => {
  const directory = join(root, 'dumped')
  const sessions = session({
    store: fileStore({ directory }),
    subject: data => (data as { user?: string }).user,
    // The data hold the subject as well.
    encryptionKeys: [new Uint8Array(32).fill(1)],
  })
  const user = 'ada@example.com'
  const signedIn = [0, 1, 2].map(n => sessions.create({ user, n } as SessionData))
  const ids = (await Promise.all(signedIn)).map(({ id }) => id)

  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  const dump: Buffer[] = []
  for (const entry of entries) {
    dump.push(Buffer.from(`${entry.name}\n`))
    if (entry.isFile()) dump.push(await readFile(join(entry.parentPath, entry.name)))
  }
  t.true(entries.filter(entry => entry.isFile()).length >= 3)
  for (const secret of [...ids, user]) t.deepEqual(formsFound(Buffer.concat(dump), secret), [])
  await sessions.close()
})
