import fastifyCookie from '@fastify/cookie'
import fastifySession from '@fastify/session'
import fastify from 'fastify'
import { bareHolder } from './koa-app.js'
import { route } from './routes.js'

/** The app of both Fastify contenders: bare, or with @fastify/session in memory, as its README sets it up. */
export function fastifyApp(hasSessions) {
  const app = fastify()
  if (hasSessions) {
    app.register(fastifyCookie)
    app.register(fastifySession, {
      secret: 'a key for the benchmark, of 32 characters',
      saveUninitialized: false,
      cookie: { secure: false },
    })
  }
  const holderOf = hasSessions ? request => request : bareHolder()
  app.get('/*', async request => route(request.url.split('?', 1)[0], request.query, holderOf(request), signOut))
  return app
}

async function signOut({ session }) {
  await session.destroy()
  return { signedOut: true }
}
