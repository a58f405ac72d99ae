import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type FaultProxy, faultProxy, startServer } from '@koa-session/test-servers'
import test, { type ExecutionContext } from 'ava'
import { Redis } from 'ioredis'

/** A server that answers each chunk by the same bytes, and the proxy before it. */
async function echo(t: ExecutionContext): Promise<{ proxy: FaultProxy; received: string[] }> {
  t.timeout(120_000)
  const received: string[] = []
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.on('data', chunk => {
      received.push(chunk.toString())
      socket.write(chunk)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const proxy = await faultProxy({ target: { host: '127.0.0.1', port: (server.address() as AddressInfo).port } })
  t.teardown(async () => {
    await proxy.close()
    server.close()
  })
  return { proxy, received }
}

async function open(t: ExecutionContext, { host, port }: FaultProxy): Promise<Socket> {
  const socket = connect({ host, port })
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** The answer of the peer, or the code of the error that ended the connection. */
async function ask(socket: Socket, text: string): Promise<string> {
  socket.write(text)
  try {
    return String((await once(socket, 'data'))[0])
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'no code'
  }
}

const silence = (socket: Socket, text: string) => Promise.race([ask(socket, text), sleep(150, 'silence')])

async function codeOfConnecting({ host, port }: FaultProxy): Promise<string> {
  const socket = connect({ host, port }).on('data', () => {})
  try {
    await once(socket, 'close')
    return 'closed'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'no code'
  }
}

test('pass forwards both ways and counts the bytes', async t => {
  const { proxy } = await echo(t)
  const [first, second] = [await open(t, proxy), await open(t, proxy)]
  t.is(await ask(first, 'a'), 'a')
  t.is(await ask(second, 'b'), 'b')
  t.is(proxy.open, 2)
  first.end()
  await once(first, 'close')
  t.is(proxy.open, 1)
  t.is(proxy.accepted, 2)
  t.is(proxy.dropped, 0)
})

test('pass carries more than the buffers hold, in order', async t => {
  const { proxy } = await echo(t)
  const socket = await open(t, proxy)
  const sent = Buffer.alloc(20_000_000, 'the quick brown fox ')
  const parts: Buffer[] = []
  const whole = new Promise<void>(resolve => {
    let length = 0
    socket.on('data', chunk => {
      parts.push(chunk)
      length += chunk.length
      if (length === sent.length) resolve()
    })
  })
  socket.write(sent)
  await whole
  t.true(Buffer.concat(parts).equals(sent))
})

test('refuse resets open connections and refuses new ones, until pass', async t => {
  const { proxy } = await echo(t)
  const socket = await open(t, proxy)
  t.is(await ask(socket, 'a'), 'a')
  const broken = once(socket, 'data')
  await proxy.refuse()
  t.is((await t.throwsAsync<NodeJS.ErrnoException>(broken)).code, 'ECONNRESET')
  t.is(await codeOfConnecting(proxy), 'ECONNREFUSED')
  await proxy.pass()
  t.is(await ask(await open(t, proxy), 'b'), 'b')
})

test('reset resets open and new connections', async t => {
  const { proxy } = await echo(t)
  const socket = await open(t, proxy)
  t.is(await ask(socket, 'a'), 'a')
  const broken = once(socket, 'data')
  await proxy.reset()
  t.is((await t.throwsAsync<NodeJS.ErrnoException>(broken)).code, 'ECONNRESET')
  t.is(await codeOfConnecting(proxy), 'ECONNRESET')
  await proxy.pass()
  t.is(await ask(await open(t, proxy), 'b'), 'b')
})

test('hang answers no request, and afterwards resets only connections that lost something', async t => {
  const { proxy, received } = await echo(t)
  const [idle, busy] = [await open(t, proxy), await open(t, proxy)]
  t.is(await ask(idle, 'a'), 'a')
  t.is(await ask(busy, 'b'), 'b')
  await proxy.hang()
  const late = await open(t, proxy)
  t.is(await silence(busy, 'c'), 'silence')
  t.is(await silence(late, 'd'), 'silence')
  t.deepEqual(received, ['a', 'b'])
  t.is(proxy.open, 3)
  const broken = [once(busy, 'data'), once(late, 'data')]
  await proxy.pass()
  for (const each of await Promise.allSettled(broken)) t.is(each.status, 'rejected')
  t.is(await ask(idle, 'e'), 'e')
})

test('delay delays replies and keeps their order, even if it is switched off meanwhile', async t => {
  const { proxy } = await echo(t)
  const socket = await open(t, proxy)
  await proxy.delay(200)
  const from = Date.now()
  t.is(await ask(socket, 'a'), 'a')
  t.true(Date.now() - from >= 190)
  await proxy.delay(3_000)
  let text = ''
  socket.on('data', chunk => {
    text += chunk
  })
  socket.write('late,')
  await sleep(50)
  await proxy.pass()
  socket.write('early')
  t.is(text, '')
  while (text.length < 10) await once(socket, 'data')
  t.is(text, 'late,early')
})

test('dropReply forwards the request and resets the connection instead of forwarding the reply', async t => {
  const { proxy, received } = await echo(t)
  const socket = await open(t, proxy)
  t.is(await ask(socket, 'a'), 'a')
  await proxy.dropReply()
  t.is(await ask(socket, 'b'), 'ECONNRESET')
  t.deepEqual(received, ['a', 'b'])
  t.is(proxy.dropped, 1)
  t.is(await ask(await open(t, proxy), 'c'), 'c')
})

test('dropReply drops the given number of replies, and only those to matching requests', async t => {
  const { proxy } = await echo(t)
  await proxy.dropReply({ count: 2, match: request => request.includes('write') })
  const reader = await open(t, proxy)
  t.is(await ask(reader, 'read 1'), 'read 1')
  t.is(await ask(await open(t, proxy), 'write 1'), 'ECONNRESET')
  t.is(await ask(await open(t, proxy), 'write 2'), 'ECONNRESET')
  t.is(await ask(await open(t, proxy), 'write 3'), 'write 3')
  t.is(await ask(reader, 'read 2'), 'read 2')
  t.is(proxy.dropped, 2)
})

test('disconnect resets open connections and accepts new ones', async t => {
  const { proxy } = await echo(t)
  const socket = await open(t, proxy)
  t.is(await ask(socket, 'a'), 'a')
  const broken = once(socket, 'data')
  proxy.disconnect()
  t.is((await t.throwsAsync<NodeJS.ErrnoException>(broken)).code, 'ECONNRESET')
  t.is(await ask(await open(t, proxy), 'b'), 'b')
})

test('forget silently drops the packets of open connections and accepts new ones', async t => {
  const { proxy, received } = await echo(t)
  const [talking, ended] = [await open(t, proxy), await open(t, proxy)]
  t.is(await ask(talking, 'a'), 'a')
  proxy.forget()
  t.is(await silence(talking, 'b'), 'silence')
  ended.end()
  t.is(await ask(await open(t, proxy), 'c'), 'c')
  await proxy.pass()
  t.is(await silence(talking, 'd'), 'silence', 'for good')
  t.is(talking.readyState, 'open')
  t.deepEqual(received, ['a', 'c'])
})

test('forgetIdle forgets only connections that were silent for the given time', async t => {
  const { proxy, received } = await echo(t)
  const [busy, idle] = [await open(t, proxy), await open(t, proxy)]
  proxy.forgetIdle(4_000)
  for (let n = 0; n < 45; n++) {
    t.is(await ask(busy, String(n)), String(n))
    await sleep(100)
  }
  t.is(await silence(idle, 'idle'), 'silence')
  proxy.forgetIdle(Number.POSITIVE_INFINITY)
  t.is(await silence(idle, 'idle'), 'silence', 'for good')
  t.is(await ask(busy, 'busy'), 'busy')
  t.false(received.includes('idle'))
})

test('a driver sees a reset if the server is down', async t => {
  const gone = createServer().listen(0, '127.0.0.1')
  await once(gone, 'listening')
  const { port } = gone.address() as AddressInfo
  gone.close()
  const proxy = await faultProxy({ target: { host: '127.0.0.1', port } })
  t.teardown(() => proxy.close())
  t.is(await codeOfConnecting(proxy), 'ECONNRESET')
})

test('dropReply loses the reply of Redis after the command ran', async t => {
  const server = await startServer('redis')
  t.teardown(() => server.end())
  const proxy = await faultProxy({ target: server })
  t.teardown(() => proxy.close())
  const client = new Redis(proxy.through(server.url), { maxRetriesPerRequest: 0, retryStrategy: () => 10 })
  client.on('error', () => {})
  t.teardown(() => client.disconnect())
  t.is(await client.incr('count'), 1)
  await proxy.dropReply({ match: request => request.includes('incr') })
  await t.throwsAsync(client.incr('count'))
  t.is(await client.get('count'), '2')
  t.is(proxy.dropped, 1)
  await proxy.hang()
  t.is(await Promise.race([client.get('count').catch(() => 'error'), sleep(150, 'silence')]), 'silence')
  await proxy.refuse()
  await t.throwsAsync(client.get('count'))
  await proxy.pass()
  await once(client, 'ready')
  t.is(await client.get('count'), '2')
})
