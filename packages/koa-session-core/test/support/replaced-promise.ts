// A process whose global Promise is another library's, from before or after this package was loaded: `<library> <when>`.
// Prints what a session does in it.
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import Koa from 'koa'

const Native = Promise
const { then } = Promise.prototype

/** As bluebird does it: not a built-in, and not to be extended by others. */
class LibraryPromise<T> {
  readonly #inner: Promise<T>

  constructor(executor: ConstructorParameters<typeof Promise<T>>[0]) {
    if (this.constructor !== LibraryPromise) throw new TypeError('the promise constructor cannot be invoked directly')
    this.#inner = new Native(executor)
  }
  then(fulfilled = (value: T): unknown => value, rejected = (reason: unknown): unknown => Native.reject(reason)) {
    return new LibraryPromise((resolve, reject) => {
      const settle = (handler: (value: any) => unknown) => (value: unknown) => {
        try {
          resolve(handler(value))
        } catch (error) {
          reject(error)
        }
      }
      then.call(this.#inner, settle(fulfilled), settle(rejected))
    })
  }
  catch(rejected: (reason: unknown) => unknown) {
    return this.then(undefined, rejected)
  }
  finally(end: () => void) {
    return this.then(
      value => LibraryPromise.resolve(end()).then(() => value),
      reason => LibraryPromise.resolve(end()).then(() => LibraryPromise.reject(reason)),
    )
  }
  static resolve(value: unknown) {
    return new LibraryPromise(resolve => resolve(value))
  }
  static reject(reason: unknown) {
    return new LibraryPromise((_, reject) => reject(reason))
  }
  static all = (all: Iterable<unknown>) => LibraryPromise.resolve(Native.all(all))
  static race = (all: Iterable<unknown>) => LibraryPromise.resolve(Native.race(all))
  static allSettled = (all: Iterable<unknown>) => LibraryPromise.resolve(Native.allSettled(all))
}

const libraries: Record<string, () => unknown> = {
  none: () => Native,
  'a library': () => LibraryPromise,
  'a subclass': () =>
    class Tracked extends Native<unknown> {
      constructor(executor: ConstructorParameters<typeof Promise>[0], name = 'anonymous') {
        if (new.target !== Tracked) throw new TypeError(`${name} cannot be extended`)
        super(executor)
      }
    },
  'a zone, which patches the built-in as well': () => {
    Native.prototype.then = function (this: Promise<any>, ...handlers: any[]): any {
      return new LibraryPromise((resolve, reject) => then.call(this, resolve, reject)).then(...handlers)
    } as typeof then
    return LibraryPromise
  },
}

const [, , library = 'none', when] = process.argv
const replace = () => {
  globalThis.Promise = libraries[library]?.() as PromiseConstructor
}

if (when === 'before') replace()
const { session, memoryStore } = await import('koa-session-core')
if (when === 'after') replace()

const unhandled: unknown[] = []
process.on('unhandledRejection', reason => unhandled.push(reason))
const errors: unknown[] = []
const store = memoryStore()
const sessions = session({ store, subject: data => Reflect.get(data, 'user') })
const handlers: Record<string, (session: any, ctx: Koa.Context) => unknown> = {
  '/save': async session => {
    session.n = 1
    return [await session.save(), session.save() instanceof Native]
  },
  '/callback': session => {
    session.n++
    return new Native(resolve => session.save(resolve)).then(error => [error ?? 'saved'])
  },
  '/update': session =>
    session
      .update((data: any) => void data.n++)
      .then((stored: boolean) => [stored])
      .catch(String)
      .finally(() => {}),
  '/race': async session => {
    session.other = true
    await get('/update')
    return [await session.save(), session.n]
  },
  '/login': async (session, ctx) => {
    await session.regenerate()
    Object.assign(ctx.session, { user: 'ada' })
    return [await ctx.session.rotateId()]
  },
  '/flash': (_, ctx) => ctx.flash('hello'),
  '/taken': (_, ctx) => ctx.flash(),
  '/unawaited': session => void session.update((data: any) => void data.n++),
  '/failing': session => {
    session.save = undefined
  },
  '/refused': async session => {
    session.f = () => {}
    const code = await session.save().catch((error: { code: string }) => [error.code])
    delete session.f
    return code
  },
  '/look': session => ({ ...session }),
  '/logout': session => session.destroy(),
}
const app = new Koa()
app.on('error', error => errors.push(String(error)))
app.use(sessions)
app.use(async ctx => {
  ctx.body = await handlers[ctx.path]?.(ctx.session, ctx)
})
const server = app.listen(0, '127.0.0.1')
await new Native(resolve => server.on('listening', resolve))

let cookie = ''
function get(path: string): Promise<string> {
  return new Native((resolve, reject) => {
    const { port } = server.address() as AddressInfo
    request({ port, path, agent: false, headers: { cookie } }, response => {
      for (const line of response.headers['set-cookie'] ?? []) cookie = line.split(';', 1)[0] as string
      let text = `${response.statusCode} `
      response.on('data', chunk => {
        text += chunk
      })
      response.on('end', () => resolve(text))
    })
      .on('error', reject)
      .end()
  })
}

const seen: Record<string, unknown> = {}
for (const path of Object.keys(handlers)) seen[path] = await get(path)
const listed: unknown[] = []
const created = await sessions.create({ user: 'ada' } as object)
for await (const { data } of sessions.list('ada')) listed.push(data)
const admin = [listed, await sessions.revokeAll('ada'), await sessions.sweep(), created.key.length]
await sessions.close()
server.close()
process.stdout.write(JSON.stringify({ seen, admin, errors, unhandled: unhandled.map(String) }))
