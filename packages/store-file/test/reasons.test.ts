import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'ava'
import { isSessionError, session } from 'koa-session-core'
import { fileStore } from 'koa-session-store-file'

test('the reason of a failure is named, with the path and without the key', async t => {
  const root = await mkdtemp(join(tmpdir(), 'koa-session-reasons-'))
  t.teardown(() => rm(root, { recursive: true }))
  const file = join(root, 'a-file')
  await writeFile(file, '')
  const sessions = session({ store: fileStore({ directory: file }) })
  const error = await t.throwsAsync(sessions.create({}))
  t.true(isSessionError(error) && error.code === 'ERR_SESSION_STORE')
  t.regex(error?.message ?? '', /^store file: write failed: (ENOTDIR|EEXIST): [a-z ]+, \w+ '/)
  t.true(error?.message.includes(file))
  t.notRegex(`${error?.message} ${error?.cause}`, /[0-9a-f]{16}/)
})
