import { OptionCheck, storeHints } from 'koa-session-core/store'
import { MongoClient } from 'mongodb'
import type { MongoCollection } from './collection.js'

export type MongoStoreOptions =
  | {
      /** A collection of the driver. Its client stays yours: `close` leaves it open. */
      readonly collection: MongoCollection
      readonly url?: never
      readonly database?: never
    }
  | {
      /** The server that the store connects to at its first call: `mongodb://` or `mongodb+srv://`. */
      readonly url: string
      /**
       * Name of the database.
       * @default the one that `url` names, else 'test'
       */
      readonly database?: string
      /**
       * Name of the collection.
       * @default 'sessions'
       */
      readonly collection?: string
    }

const ofClient = "pass collection: client.db().collection('sessions')"

const names = {
  known: ['collection', 'url', 'database'],
  hints: {
    ...storeHints(`collection: client.db().collection('sessions')`),
    ...{ client: ofClient, clientpromise: ofClient, mongoclient: ofClient, mongooseconnection: ofClient },
    ...{ collectionname: 'collection', db: 'database', dbname: 'database', mongourl: 'url' },
  },
}

const starts = ['mongodb://', 'mongodb+srv://']

export function checkedOptions(options: MongoStoreOptions) {
  const check = new OptionCheck('mongoStore()')
  check.names(options, names)
  const { url, database, collection } = options as Record<string, unknown>
  if (url === undefined) {
    check.either(options, 'collection', 'url')
    const isGood = collection === undefined || isCollection(collection)
    check.secret('collection', isGood, 'must be a Collection of mongodb', collection, instead(collection))
    check.that(
      'database',
      database === undefined,
      'belongs beside url: a collection already has its database',
      database,
    )
  } else {
    // Connects to nothing.
    check.url('url', url, starts, text => new MongoClient(text))
    const isGiven = typeof collection === 'object' && collection !== null
    if (isGiven) check.either(options, 'collection', 'url')
    const isGood = collection === undefined || isGiven || isName(collection)
    check.that('collection', isGood, 'must be the name of a collection when url is given', collection)
    check.that('database', database === undefined || isDatabase(database), 'must be the name of a database', database)
  }
  check.end()
  return {
    given: url === undefined ? (collection as MongoCollection) : undefined,
    url: url as string,
    database: database as string | undefined,
    name: (collection ?? 'sessions') as string,
  }
}

const isName = (name: unknown): boolean =>
  typeof name === 'string' && /^(?!system\.)[^$\0]+$/.test(name) && !/^\.|\.$|\.\./.test(name)

const isDatabase = (name: unknown): boolean => typeof name === 'string' && /^[^/\\. "$*<>:|?\0]{1,63}$/.test(name)

const isCollection = (collection: unknown): boolean =>
  typeof collection === 'object' && typeof Object(collection).findOne === 'function'

/** A hint for values that people pass by mistake as a collection. */
function instead(collection: unknown): string {
  if (typeof collection === 'string') return 'a name belongs beside url'
  const { db, collection: ofDatabase, findOne } = Object(collection)
  if (typeof collection === 'function' && typeof findOne === 'function')
    return 'pass the collection of a mongoose model: Model.collection'
  if (typeof db === 'function') return ofClient
  return typeof ofDatabase === 'function' ? "pass collection: db.collection('sessions')" : ''
}
