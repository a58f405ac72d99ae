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

refuses('no options', undefined, /^mongoStore\(\) takes an object of options, got undefined$/)
refuses('a url in place of options', url, /takes an object of options, got a string; did you mean \{ url \}\?$/)
refuses('neither collection nor url', {}, /^mongoStore\(\): options must have either collection or url, got neither$/)
refuses('a url from a variable that is not set', { url: undefined }, /either collection or url, got neither/)
refuses('both collection and url', { collection, url }, /either collection or url, got both/)
refuses(
  'a collection that is none',
  { collection: {} },
  /^mongoStore\(\): option collection must be a Collection of mongodb, got an object$/,
)
refuses(
  'a name without a url',
  { collection: 'sessions' },
  /collection must be a Collection of mongodb, got a string; a name belongs beside url$/,
)
refuses(
  'a client',
  { collection: client },
  /got a MongoClient; pass collection: client\.db\(\)\.collection\('sessions'\)$/,
)
refuses('a database', { collection: client.db() }, /got a Db; pass collection: db\.collection\('sessions'\)$/)
refuses(
  'a model',
  { collection: Object.assign(() => {}, { findOne() {} }) },
  /pass the collection of a mongoose model: Model\.collection$/,
)
refuses(
  'a client under its name',
  { client },
  /option client is unknown: pass collection: client\.db\(\)\.collection\('sessions'\)/,
)
refuses('a url under the name of connect-mongo', { mongoUrl: url }, /option mongoUrl is unknown: did you mean url\?/)
refuses(
  'an option of the URL that there is not',
  { url: `${url}?colour=1` },
  /the driver: option colour is not supported$/,
)
for (const part of ['hid#den', 'hid/den', 'hid?den', '12/34', '12#34']) {
  refuses(
    `${part} in a password`,
    { url: `mongodb://nobody:${part}@127.0.0.1/none` },
    /percent-encode user name and password/,
  )
}

test('what mongodb takes as a URL is taken', t => {
  for (const taken of [
    'mongodb://nobody:hid%23den@a.example:1,b.example:2/none?replicaSet=rs',
    'mongodb+srv://nobody:hidden@cluster.example.com/none?retryWrites=true&w=majority',
    'mongodb://%2Ftmp%2Fmongodb-27017.sock/none',
  ]) {
    t.is(mongoStore({ url: taken }).name, 'mongo', taken)
  }
})

refuses('a collection that is null', { collection: null }, /collection must be a Collection of mongodb, got null/)
refuses(
  'a database beside a collection',
  { collection, database: 'app' },
  /database belongs beside url: a collection already has its database, got "app"$/,
)
refuses('a url of something else', { url: 'redis://nobody:hidden@127.0.0.1' }, /url must begin with mongodb:/)
refuses(
  'a url that is none',
  { url: 'mongodb://nobody:hidden@127.0.0.1:port' },
  /url cannot be parsed: check host and port/,
)
refuses(
  'an unknown option',
  { url, colection: 'sessions' },
  /^mongoStore\(\): option colection is unknown: did you mean collection\?$/,
)
for (const name of ['', 'a$b', 'a\0b', '.a', 'a.', 'a..b', 'system.users', 7, null]) {
  refuses(
    `the collection name ${JSON.stringify(name)}`,
    { url, collection: name },
    /collection must be the name of a collection when url is given/,
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
  const asking = (collection as Collection).findOne()
  await t.throwsAsync(asking, { name: 'MongoServerSelectionError' }, 'a collection handed in stays open')
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
