import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { isSessionError, type Store, session } from 'koa-session-core'

/** In passwords: it must not be said. */
export const hidden = 'c4n4ry-s3cr3t'

/** The first line of a log when sessions cannot be stored, without the name of the store. */
export async function reasonOf(store: Store): Promise<string> {
  const sessions = session({ store })
  try {
    const error = await sessions.create({}).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    assert.ok(isSessionError(error), `the call must fail with a SessionError, got ${error}`)
    assert.ok(!error.message.includes('\n'), 'in one line')
    assert.ok(!`${error.stack} ${JSON.stringify(error)} ${error.cause}`.includes(hidden), 'without the password')
    const [begin, reason] = [`store ${store.name}: write failed: `, error.message.split(' failed: ')[1]]
    assert.equal(error.code, 'ERR_SESSION_STORE', error.message)
    assert.ok(error.message.startsWith(begin), error.message)
    assert.ok(reason)
    return error.message.slice(begin.length)
  } finally {
    await sessions.close()
  }
}

interface Listening {
  readonly port: number
  close(): Promise<void>
}

/** Accepts connections, and never says anything. */
export async function silentServer(): Promise<Listening> {
  const sockets = new Set<{ destroy(): void }>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  // Hooks that would close it do not run if no test is chosen.
  server.unref()
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

export interface Certificate {
  readonly key: string
  readonly cert: string
  remove(): Promise<void>
}

/** An untrusted certificate for 127.0.0.1. Only `owner` may read its key. */
export async function certificate(owner?: { readonly uid?: number; readonly gid?: number }): Promise<Certificate> {
  const folder = await mkdtemp(join(tmpdir(), 'koa-session-tls-'))
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  await promisify(execFile)('openssl', ['req', ...kind, '-subj', '/CN=127.0.0.1', '-keyout', key, '-out', cert])
  await chmod(key, 0o600)
  if (owner?.uid !== undefined) {
    await chown(folder, owner.uid, owner.gid ?? owner.uid)
    await chown(key, owner.uid, owner.gid ?? owner.uid)
  }
  return { key, cert, remove: () => rm(folder, { recursive: true }) }
}
