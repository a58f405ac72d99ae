import express from 'express'
import { bareHolder } from './koa-app.js'
import { route } from './routes.js'

/** The app of every Express contender. Without `middleware` it is bare Express. */
export function expressApp(middleware) {
  const app = express()
  if (middleware) app.use(middleware)
  const holderOf = middleware ? req => req : bareHolder()
  app.use(async (req, res) => {
    const answer = route(req.path, req.query, holderOf(req), signOut)
    res.json(answer instanceof Promise ? await answer : answer)
  })
  return app
}

function signOut({ session }) {
  return new Promise((resolve, reject) => {
    session.destroy(error => (error ? reject(error) : resolve({ signedOut: true })))
  })
}
