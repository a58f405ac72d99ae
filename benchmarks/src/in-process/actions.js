import assert from 'node:assert/strict'
import { LightClient } from './light-request.js'

/** As many requests are under way at once, each on a session of its own. */
const connections = 16

/** The measured actions, and where a client signs in for each. */
export const actions = {
  anonymous: { path: '/anonymous' },
  untouched: { path: '/untouched', signIn: '/sign-in' },
  read: { path: '/read', signIn: '/sign-in' },
  write: { path: '/write', signIn: '/sign-in' },
  'read-large': { path: '/read-large', signIn: '/sign-in-large' },
}

/** The clients of an action, signed in, with a function that sends about `count` requests. */
export async function prepare(app, name) {
  const { path, signIn } = actions[name]
  const handle = app.callback()
  const clients = Array.from({ length: connections }, () => new LightClient(handle))
  if (signIn) for (const client of clients) await client.signIn(signIn)

  return async function run(count) {
    for (let done = 0; done < count; done += connections) {
      const responses = await Promise.all(clients.map(client => client.request(path)))
      for (const { statusCode } of responses) if (statusCode !== 200) throw new Error(`${path} answered ${statusCode}`)
      // Timers and input have their turn between batches, as on a real server.
      await new Promise(setImmediate)
    }
    return Math.ceil(count / connections) * connections
  }
}

/** See that a contender does what is measured: a figure of an app that does not is worth nothing. */
export async function verify(app, isBare) {
  if (isBare) return
  const bodies = []
  const handle = (req, res) => {
    const end = res.end
    res.end = function (chunk, ...rest) {
      bodies.push(JSON.parse(chunk))
      return end.call(this, chunk, ...rest)
    }
    return app.callback()(req, res)
  }
  const last = () => bodies.at(-1)
  const stranger = new LightClient(handle)
  const response = await stranger.request('/anonymous')
  assert.equal(response.getHeader('set-cookie'), undefined, 'an anonymous visitor got a cookie')
  await stranger.request('/read')
  assert.equal(last().userId, undefined, 'a stranger has a session')
  const user = new LightClient(handle)
  await user.signIn('/sign-in')
  await user.request('/read')
  assert.deepEqual(last(), { userId: 123456, count: 1000, pages: 0 }, 'a read does not show the data')
  await user.request('/write')
  await user.request('/read')
  assert.equal(last().count, 1001, 'a write is not there on the next request')
  const reader = new LightClient(handle)
  await reader.signIn('/sign-in-large')
  await reader.request('/read-large')
  assert.equal(last().pages, 228, 'a read of the large session does not show the data')
}
