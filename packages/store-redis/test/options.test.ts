import test from 'ava'
import { Redis } from 'ioredis'
import { type RedisStoreOptions, redisStore } from 'koa-session-store-redis'

const url = 'redis://nobody:hidden@127.0.0.1:1'
const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null })
client.on('error', () => {})
const key = '0'.repeat(64)

const refuses = (title: string, options: unknown, message: RegExp) =>
  test(`is refused: ${title}`, t => {
    const error = t.throws(() => redisStore(options as RedisStoreOptions), { instanceOf: TypeError, message })
    t.notRegex(error.message, /hidden/)
  })

refuses('no options', undefined, /^redisStore: options must be an object .*undefined/)
refuses('neither client nor url', {}, /either client or url, got neither/)
refuses('a url from a variable that is not set', { url: undefined }, /either client or url, got neither/)
refuses('both client and url', { client, url }, /either client or url, got both/)
refuses('a client that is none', { client: {} }, /client must be a Redis or Cluster of ioredis, got \{\}/)
refuses('a client that is null', { client: null }, /client must be a Redis or Cluster of ioredis, got null/)
refuses('a url of something else', { url: 'mysql://nobody:hidden@127.0.0.1' }, /url must begin with redis:/)
refuses('a url that is none', { url: 'redis://nobody:hidden@127.0.0.1:port' }, /url must begin with redis:/)
refuses('an unknown option', { url, prefx: 'a:' }, /unknown option prefx \(.*\), got 'a:'/)
for (const prefix of ['', 7, null]) {
  refuses(`the prefix ${JSON.stringify(prefix)}`, { url, prefix }, /prefix must be a non-empty string, got/)
}

test('constructing and closing a store that is not used connects nowhere', async t => {
  const [opened, given] = [redisStore({ url }), redisStore({ client })]
  await Promise.all([opened.close(), opened.close(), given.close(), given.close()])
  t.is(client.status, 'wait', 'nobody has connected the client')
  await t.throwsAsync(opened.read(key), { message: 'the redis store is closed' })
  await t.throwsAsync(given.read(key), undefined, 'a client that was handed in is used on')
})

test('a server that is not there is an error of the driver', async t => {
  const store = redisStore({ url })
  await t.throwsAsync(store.read(key), { name: 'MaxRetriesPerRequestError' })
  await store.close()
})
