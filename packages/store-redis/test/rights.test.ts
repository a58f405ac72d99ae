import { readdir, readFile } from 'node:fs/promises'
import { sharedServer } from '@koa-session/test-servers'
import ava from 'ava'
import { Redis } from 'ioredis'
import { conformanceCases } from 'koa-session-core/testkit'
import { redisStore } from 'koa-session-store-redis'

const folder = new URL('../', import.meta.url)
const readme = await readFile(new URL('README.md', folder), 'utf8')
const rule = /^ACL SETUSER sessions (.*)$/m.exec(readme)?.[1] ?? ''

const server = await sharedServer('redis')
const test = server ? ava : ava.skip
const serial = server ? ava.serial : ava.skip
const user = `rights-${process.pid}`
const url = new URL(server?.url ?? 'redis://127.0.0.1')
const admin = new Redis(url.href, { lazyConnect: true })
ava.before(async () => {
  if (server) await admin.call('acl', 'setuser', user, ...rule.replace('~session:*', '~rights:*').split(' '))
})
ava.after.always(async () => {
  if (server) await admin.call('acl', 'deluser', user)
  admin.disconnect()
})

ava('the README names the commands that the store calls, and no others', async t => {
  const sources = (await readdir(new URL('src/', folder))).filter(name => name.endsWith('.ts'))
  const texts = await Promise.all(sources.map(name => readFile(new URL(`src/${name}`, folder), 'utf8')))
  const called = texts.flatMap(text =>
    [...text.matchAll(/\.call\('(\w+)'/g)].map(([, name = '']) => name.toLowerCase()),
  )
  const byTheClient = ['select', 'info', 'ping']
  const allowed = [...rule.matchAll(/\+(\w+)/g)].map(([, name = '']) => name)
  t.deepEqual([...new Set([...called, ...byTheClient])].sort(), allowed.toSorted())
})

const create = (world: string) => {
  const own = Object.assign(new URL(url), { username: user, password: 'password', pathname: '/1' })
  return redisStore({ url: own.href, prefix: `rights:${world}:` })
}

// One by one: each store has a connection of its own, which gives up when it is not answered in time.
for (const { title, run } of conformanceCases({ create, capabilities: ['keys', 'shared'] })) {
  serial(`with the rights in the README: ${title}`, async t => {
    await t.notThrowsAsync(run())
  })
}

test('those rights reach no key of anybody else', async t => {
  const store = redisStore({
    url: Object.assign(new URL(url), { username: user, password: 'password' }).href,
    prefix: 'elsewhere:',
  })
  await t.throwsAsync(store.read('0'.repeat(64)), { message: /NOPERM/ })
  await store.close()
})
