import { AsyncLocalStorage } from 'node:async_hooks'
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { EnumerableStore, SweepableStore } from 'koa-session-core'
import { fileStore } from 'koa-session-store-file'

/*
 * A process of its own, driven over its standard input: each line is one call as JSON, and is answered by one line with
 * what it resolved to, written only after it did. Calls run side by side.
 */
type FileStore = SweepableStore & EnumerableStore
type Call = { id: number; directory: string; method: string; args: unknown[]; now: number }

// The clock of a call is its caller's, which a case may have put ahead.
const ahead = new AsyncLocalStorage<number>()
const systemNow = Date.now
Date.now = () => systemNow() + (ahead.getStore() ?? 0)

const stores = new Map<string, FileStore>()

function storeOn(directory: string): FileStore {
  const store = stores.get(directory) ?? fileStore({ directory })
  stores.set(directory, store)
  return store
}

/** Tasks for this process besides the methods of a store. */
const tasks: Record<string, (store: FileStore, ...args: never[]) => Promise<unknown>> = {
  async keys(store, options: { subject?: string }) {
    const keys: string[] = []
    for await (const key of store.keys(options)) keys.push(key)
    return keys
  },

  /** Sweep by a clock that is `milliseconds` ahead. */
  sweepLater: (store, milliseconds: number) => ahead.run(milliseconds, () => store.sweep()),

  /** Write to a foreign file until nothing more fits on the disk. */
  async fill(_store, directory: string) {
    const file = await open(join(directory, 'filler'), 'a')
    try {
      for (;;) await file.write(Buffer.alloc(512))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    } finally {
      await file.close()
    }
  },

  /** Write and touch until the session is gone. Resolves to how often either worked. */
  async outlive(store, key: string) {
    for (let worked = 0; ; ) {
      const record = await store.read(key)
      if (!record) return worked
      const version = `${process.pid}-${worked}`
      if (await store.write(key, { ...record, version }, record.version)) worked++
      else if (await store.touch(key, { seenAt: worked, expiresAt: record.expiresAt }, record.version)) worked++
    }
  },

  /** Drop all privileges of this process. */
  async dropRights() {
    process.setgroups?.([])
    process.setgid?.(65_534)
    process.setuid?.(65_534)
  },

  files: (_store, directory: string) => readdir(directory, { recursive: true }),
}

function callMethod(store: FileStore, method: string, args: unknown[]): Promise<unknown> {
  const methods = store as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>
  return methods[method]?.(...args) ?? Promise.reject(new Error(`no method ${method}`))
}

process.stdout.write(`${process.pid}\n`)

createInterface({ input: process.stdin }).on('line', async line => {
  const { id, directory, method, args, now } = JSON.parse(line) as Call
  const store = storeOn(directory)
  try {
    const run = () => (tasks[method] ? tasks[method](store, ...(args as never[])) : callMethod(store, method, args))
    const value = await ahead.run(Math.round((now - systemNow()) / 60_000) * 60_000, run)
    process.stdout.write(`${JSON.stringify({ id, value })}\n`)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    process.stdout.write(`${JSON.stringify({ id, error: { code, message } })}\n`)
  }
})
