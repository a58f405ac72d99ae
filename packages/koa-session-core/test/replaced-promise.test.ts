import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import test from 'ava'

const script = fileURLToPath(new URL('support/replaced-promise.js', import.meta.url))

async function seenWith(...args: string[]): Promise<Record<string, any>> {
  const { stdout } = await promisify(execFile)(process.execPath, [...process.execArgv, script, ...args])
  return JSON.parse(stdout)
}

test.before(async t => {
  t.context = await seenWith('none', 'never')
})

test('with the Promise of the language a session does what it should', t => {
  const { seen, admin, errors, unhandled } = t.context as Record<string, any>
  t.like(seen, {
    '/save': '200 [true,true]',
    '/callback': '200 ["saved"]',
    '/update': '200 [true]',
    '/race': '200 [true,4]',
    '/login': '200 [true]',
    '/taken': '200 ["hello"]',
    '/refused': '200 ["ERR_SESSION_ENCODE"]',
    '/logout': '204 ',
  })
  t.deepEqual(admin, [[{ user: 'ada' }], 1, 0, 64])
  t.is(errors.length, 1, 'the one that /failing throws')
  t.deepEqual(unhandled, [])
})

const libraries = ['a library', 'a subclass', 'a zone, which patches the built-in as well']
for (const library of libraries) {
  for (const when of ['before', 'after']) {
    test(`nothing changes where the global Promise is another one, ${when} this package was loaded: ${library}`, async t => {
      t.deepEqual(await seenWith(library, when), t.context as object)
    })
  }
}
