import test from 'ava'
import { Redis } from 'ioredis'
import { Redis as Valkey } from 'iovalkey'
import { type RedisStoreOptions, redisStore } from 'koa-session-store-redis'
import * as nodeRedis from 'redis'

const url = 'redis://nobody:hidden@127.0.0.1:1'
const client = new Redis(url, { lazyConnect: true, retryStrategy: () => null })
client.on('error', () => {})
const key = '0'.repeat(64)

const refuses = (title: string, options: unknown, message: RegExp) =>
  test(`is refused: ${title}`, t => {
    const error = t.throws(() => redisStore(options as RedisStoreOptions), { instanceOf: TypeError, message })
    t.notRegex(error.message, /hidden/)
  })

refuses('no options', undefined, /^redisStore\(\) takes an object of options, got undefined$/)
refuses(
  'a url in place of options',
  url,
  /^redisStore\(\) takes an object of options, got a string; did you mean \{ url \}\?$/,
)
refuses('neither client nor url', {}, /^redisStore\(\): options must have either client or url, got neither$/)
refuses('a url from a variable that is not set', { url: undefined }, /either client or url, got neither/)
refuses('both client and url', { client, url }, /either client or url, got both/)
refuses(
  'a client that is none',
  { client: {} },
  /^redisStore\(\): option client must be a client of ioredis, iovalkey or node-redis, got an object$/,
)
refuses(
  'a client that is null',
  { client: null },
  /client must be a client of ioredis, iovalkey or node-redis, got null/,
)
refuses('a class in place of a client', { client: Redis }, /got a function; make one: new Redis\(url\)$/)
refuses('a class of iovalkey in place of a client', { client: Valkey }, /got a function; make one: new Redis\(url\)$/)
refuses('the module of node-redis', { client: nodeRedis }, /make one: await createClient\(\{ url \}\)\.connect\(\)$/)
refuses(
  'a legacy client of node-redis',
  { client: nodeRedis.createClient({ url }).legacy() },
  /got a RedisLegacyClient; a client of node-redis must be of version 5 or later, and not its legacy\(\)$/,
)
refuses('a client of node-redis 3', { client: { send_command() {} } }, /must be of version 5 or later/)
refuses(
  'a client that is not awaited',
  { client: Promise.resolve(client) },
  /got a Promise, which must be awaited first$/,
)
refuses('a url that is no text', { url: Object.create(null) }, /option url must begin with redis:/)
refuses('a url of something else', { url: 'mysql://nobody:hidden@127.0.0.1' }, /url must begin with redis:/)
refuses(
  'a url that is none',
  { url: 'redis://nobody:hidden@127.0.0.1:port' },
  /url cannot be parsed: check host and port/,
)
for (const part of ['hid#den', 'hid/den', 'hid?den', 'hid%zzden', '12/34', '12#34', '12?34']) {
  refuses(`${part} in a password`, { url: `redis://:${part}@127.0.0.1` }, /percent-encode user name and password/)
}

for (const database of ['/app', '/1a', '/-1', '?db=app', '/?db=']) {
  refuses(
    `the database ${database}`,
    { url: `${url}${database}` },
    /option url must name its database by a number, .* or leave it out/,
  )
}

test('what ioredis takes as a URL is taken', t => {
  for (const taken of [
    'redis://:hid%23den@127.0.0.1:1/3?family=6',
    'REDISS://nobody:hidden@[::1]',
    `${url}/`,
    `${url}/12?family=4&db=12`,
    '/run/redis.sock?db=2',
  ]) {
    t.is(redisStore({ url: taken }).name, 'redis', taken)
  }
})

refuses('an unknown option', { url, prefx: 'a:' }, /^redisStore\(\): option prefx is unknown: did you mean prefix\?$/)
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
  await t.throwsAsync(store.read(key), { code: 'ECONNREFUSED' })
  await store.close()
})
