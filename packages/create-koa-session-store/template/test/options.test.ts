import assert from 'node:assert/strict'
import test from 'node:test'
import { type AcmeStoreOptions, acmeStore } from 'koa-session-store-acme'

const refuses = (title: string, options: unknown, message: RegExp) =>
  test(`is refused: ${title}`, () => {
    assert.throws(() => acmeStore(options as AcmeStoreOptions), { name: 'TypeError', message })
  })

const url = 'acme://user:hidden@127.0.0.1'
refuses('no options', undefined, /^acmeStore\(\) takes an object of options, got undefined$/)
refuses('neither client nor url', {}, /options must have either client or url, got neither/)
refuses('a url of something else', { url: 'http://127.0.0.1' }, /option url must begin with acme:\/\/, got a string/)
refuses('a client that is none', { client: {} }, /option client must have the methods .+ is missing/)
refuses('an empty prefix', { url, prefix: '' }, /option prefix must be a non-empty string, got ""/)
refuses('an unknown option', { url, prefx: 'a' }, /option prefx is unknown: did you mean prefix\?/)

test('no message shows the url', () => {
  const wrong = { url: `${url}:port` } as AcmeStoreOptions
  assert.throws(
    () => acmeStore(wrong),
    (error: Error) => !error.message.includes('hidden'),
  )
})
