import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formsFound } from '@koa-session/behaviour/encodings'
import test from 'ava'
import { type SessionData, session } from 'koa-session-core'
import { fileStore } from 'koa-session-store-file'

test('a dump of the directory, file names included, contains neither an id nor a subject', async t => {
  const directory = await mkdtemp(join(tmpdir(), 'koa-session-dump-'))
  t.teardown(() => rm(directory, { recursive: true, force: true }))
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
