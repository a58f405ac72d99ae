import test from 'ava'
import { type MongoStoreOptions, mongoStore } from 'koa-session-store-mongo'
import { type Collection, MongoClient } from 'mongodb'

const url = 'mongodb://nobody:hidden@127.0.0.1:1/none'
const client = new MongoClient(url, { serverSelectionTimeoutMS: 50 })
const collection = client.db().collection('sessions')
const key = '0'.repeat(64)

const refuses = (title: string, options: unknown, message: RegExp) =>
  test(`is refused: ${title}`, t => {
    const error = t.throws(() => mongoStore(options as MongoStoreOptions), { instanceOf: TypeError, message })
    t.notRegex(error.message, /hidden/)
  })

refuses('no options', undefined, /^mongoStore: options must be an object .*undefined/)
refuses('neither collection nor url', {}, /either collection or url, got neither/)
refuses('a url from a variable that is not set', { url: undefined }, /either collection or url, got neither/)
refuses('both collection and url', { collection, url }, /either collection or url, got both/)
refuses('a collection that is none', { collection: {} }, /collection must be a Collection of mongodb, got \{\}/)
refuses(
  'a name without a url',
  { collection: 'sessions' },
  /collection must be a Collection of mongodb, got 'sessions'/,
)
refuses('a collection that is null', { collection: null }, /collection must be a Collection of mongodb, got null/)
refuses('a database beside a collection', { collection, database: 'app' }, /database goes with url.*'app'/)
refuses('a url of something else', { url: 'redis://nobody:hidden@127.0.0.1' }, /url must begin with mongodb:/)
refuses('a url that is none', { url: 'mongodb://nobody:hidden@127.0.0.1:port' }, /url must be one that mongodb takes/)
refuses('an unknown option', { url, colection: 'sessions' }, /unknown option colection \(.*\), got 'sessions'/)
for (const name of ['', 'a$b', 'a\0b', '.a', 'a.', 'a..b', 'system.users', 7, null]) {
  refuses(
    `the collection name ${JSON.stringify(name)}`,
    { url, collection: name },
    /with url, collection must be the name/,
  )
}
for (const name of ['', 'a.b', 'a/b', 'a\\b', 'a b', 'a"b', 'a$b', 'a\0b', 'x'.repeat(64), 7, null]) {
  refuses(`the database name ${JSON.stringify(name)}`, { url, database: name }, /database must be the name/)
}

test('constructing and closing a store that is not used connects nowhere', async t => {
  const [opened, given] = [mongoStore({ url, database: 'app', collection: 'a.b' }), mongoStore({ collection })]
  client.on('topologyOpening', () => t.fail())
  await Promise.all([opened.close(), opened.close(), given.close(), given.close()])
  client.removeAllListeners('topologyOpening')
  await t.throwsAsync(opened.read(key), { message: 'the mongo store is closed' })
  await t.throwsAsync(given.read(key), { name: 'MongoServerSelectionError' }, 'a collection handed in is used on')
})

test('a server that is not there is an error of the driver', async t => {
  const store = mongoStore({ url: `${url}?serverSelectionTimeoutMS=100` })
  await t.throwsAsync(store.read(key), { name: 'MongoServerSelectionError' })
  await store.close()
})

test('collections of any documents are taken', t => {
  const typed: Collection<{ _id: string; data: string }> = client.db().collection('typed')
  t.is(mongoStore({ collection: typed }).name, 'mongo')
  t.is(mongoStore({ collection: client.db().collection('plain') }).name, 'mongo')
})
