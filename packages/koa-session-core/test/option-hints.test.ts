import test from 'ava'
import { OptionCheck, storeHints } from 'koa-session-core/store'

const messageOf = (known: readonly string[], hints: Readonly<Record<string, string>>, name: string): string => {
  const check = new OptionCheck('exampleStore()')
  check.names({ [name]: 1 }, { known, hints })
  try {
    check.end()
  } catch (error) {
    return (error as Error).message
  }
  return ''
}

test('a hint that names an option of another store is left out', t => {
  const known = ['client', 'path', 'prefix']
  for (const name of ['uri', 'connectionString', 'connection', 'conString']) {
    const message = messageOf(known, storeHints('client'), name)
    t.is(message, `exampleStore(): option ${name} is unknown; the options are client, path, prefix`)
  }
  t.regex(messageOf(known, { paths: 'url' }, 'paths'), /is unknown: did you mean path\?$/)
})

test('the hints for stores name the option that says where the sessions are', t => {
  for (const name of ['uri', 'connectionString']) {
    t.regex(messageOf(['client', 'path'], storeHints('client', 'path'), name), /is unknown: did you mean path\?$/)
    t.regex(messageOf(['client', 'url'], storeHints('client'), name), /is unknown: did you mean url\?$/)
  }
  t.regex(messageOf(['client', 'path'], storeHints('client', 'path'), 'host'), /is unknown: use client$/)
  t.regex(messageOf(['client', 'url'], storeHints('client'), 'host'), /: it belongs in url, or use client$/)
})
