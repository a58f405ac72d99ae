import koaSession from 'koa-session'

/** koa-session as its README sets it up: everything in a signed cookie. */
export function koaSessionInCookie(app) {
  app.keys = ['a key for the benchmark']
  app.use(koaSession(app))
}

/** koa-session with an external store, which keeps text in a Map as a store on a server would. */
export function koaSessionInMap(app) {
  app.keys = ['a key for the benchmark']
  const texts = new Map()
  const store = {
    async get(key) {
      const text = texts.get(key)
      return text === undefined ? undefined : JSON.parse(text)
    },
    async set(key, value) {
      texts.set(key, JSON.stringify(value))
    },
    async destroy(key) {
      texts.delete(key)
    },
  }
  app.use(koaSession({ store }, app))
}
