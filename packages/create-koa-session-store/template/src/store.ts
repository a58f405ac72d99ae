import { setImmediate } from 'node:timers/promises'
import type { EnumerableStore, SessionRecord, StoreCall, SweepableStore } from 'koa-session-core'
import { closable, sweepDelay, throwIfAborted, untilAborted } from 'koa-session-core/store'
import { type Client, connect } from './client.js'
import { type AcmeStoreOptions, checkedOptions } from './options.js'

/** Sessions that one command of `sweep` or `keys` handles. */
const batch = 500

/** Lets other work have its turn between two batches: a driver that answers at once would keep the process busy till the end. */
const others = () => setImmediate()

/** Sessions in acme. */
export function acmeStore(options: AcmeStoreOptions): SweepableStore & EnumerableStore {
  const { client: given, url, prefix } = checkedOptions(options)
  let opened: Promise<Client> | undefined

  /** Connects at the first call. If that fails, the next call tries again. */
  function open(): Promise<Client> {
    opened ??= connect(url).catch(error => {
      opened = undefined
      throw error
    })
    return opened
  }

  /** Lets the caller go as soon as the call is aborted: a command that was sent cannot be taken back. */
  const use = <T>(call: StoreCall | undefined, work: (client: Client) => Promise<T>): Promise<T> =>
    untilAborted(call, async () => work(given ?? (await open())))

  return closable({
    name: 'acme',

    // TODO 4: the record, if its expiresAt is later than now. Leave an expired one where it is.
    read: (key, call) =>
      use(call, async (client): Promise<SessionRecord | undefined> => client.todo('read', prefix, key, Date.now())),

    // TODO 5: ONE atomic command: compare the version of the live record (null: there is none, or it has expired) and replace all.
    // true as well if the stored version already is record.version, and then change nothing. A lost race is false.
    write: (key, record, expected, call) =>
      use(call, async (client): Promise<boolean> => client.todo('write', prefix, key, record, expected, Date.now())),

    // TODO 6: ONE atomic command: move the two times of the live record of this version, nothing else.
    touch: (key, times, expected, call) =>
      use(call, async (client): Promise<boolean> => client.todo('touch', prefix, key, times, expected, Date.now())),

    // TODO 7: delete, whether there is anything or not.
    destroy: (key, call) => use(call, async (client): Promise<void> => client.todo('destroy', prefix, key)),

    async sweep(call) {
      const latest = Date.now() - sweepDelay
      for (let swept = 0; ; ) {
        // TODO 8: delete at most `batch` records whose expiresAt is `latest` or earlier; an index for that has to move with touch. If the
        // backend expires records by itself, let it do so an hour after expiresAt, and remove this method and 'sweep' in
        // test/contract.test.ts.
        const deleted = await use(call, async (client): Promise<number> => client.todo('sweep', prefix, latest, batch))
        swept += deleted
        if (deleted < batch) return swept
        await others()
      }
    },

    async *keys(call) {
      const subject = call?.subject
      for (let last = ''; ; ) {
        // TODO 9: in order, the next keys of live records after `last`, at most `batch`; with `subject`, of that subject's only.
        // Fewer than `batch` say that there are no more, so skip dead records here, and go on until there are enough.
        const keys = await use(
          call,
          async (client): Promise<string[]> => client.todo('keys', prefix, last, Date.now(), batch, subject),
        )
        for (const key of keys) {
          yield key
          throwIfAborted(call)
          last = key
        }
        if (keys.length < batch) return
        await others()
      }
    },

    async close() {
      const client = await opened?.catch(() => undefined)
      await client?.close()
    },
  })
}
