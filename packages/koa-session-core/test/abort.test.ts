import { setTimeout } from 'node:timers/promises'
import test from 'ava'
import { isSessionError, memoryStore, type StoreCall, session } from 'koa-session-core'
import { throwIfAborted, untilAborted } from 'koa-session-core/store'

/** A call that its test aborts, as the core gives it. */
async function silentCall(): Promise<{ call: StoreCall; ended: Promise<unknown> }> {
  let given: StoreCall | undefined
  const read = (_key: string, call?: StoreCall): Promise<undefined> => {
    given = call
    return new Promise(() => {})
  }
  const sessions = session({ store: { ...memoryStore(), read }, storeTimeout: 200 })
  const req = { headers: { cookie: `sid=${'a'.repeat(43)}` }, socket: {} } as never
  const ended = sessions.open(req).then(
    () => undefined,
    error => error,
  )
  await setTimeout(1)
  return { call: given as StoreCall, ended }
}

test('a call that is not answered in time tells every listener of it once, and signal has the same reason', async t => {
  const { call, ended } = await silentCall()
  const heard: unknown[] = []
  call.onAbort?.(reason => heard.push(reason))
  call.onAbort?.(reason => heard.push(reason))
  call.onAbort?.(() => heard.push('taken off'))()
  const { signal } = call
  t.is(call.signal, signal)
  t.false(signal?.aborted)
  t.notThrows(() => throwIfAborted(call))
  const error = await ended
  t.true(isSessionError(error) && error.code === 'ERR_SESSION_TIMEOUT')
  t.deepEqual(heard, [error, error])
  t.is(signal?.reason, error)
  call.onAbort?.(reason => heard.push(reason))
  t.is(heard.length, 3, 'an aborted call tells at once')
  t.true(call.signal?.aborted)
})

test('untilAborted and throwIfAborted take a call, a bare signal, or nothing', async t => {
  const reason = new Error('enough')
  const controller = new AbortController()
  const own = await silentCall()
  const hanging = () => new Promise<never>(() => {})
  const waiting = [own.call, { signal: controller.signal }, controller.signal].map(call => untilAborted(call, hanging))
  for (const call of [own.call, { signal: controller.signal }, controller.signal, {}, undefined]) {
    t.is(await untilAborted(call, async () => 1), 1)
    await t.throwsAsync(
      untilAborted(call, async () => {
        throw reason
      }),
      { is: reason },
    )
  }
  controller.abort(reason)
  const error = await own.ended
  const outcomes = await Promise.allSettled(waiting)
  t.deepEqual(
    outcomes.map(outcome => outcome.status === 'rejected' && outcome.reason),
    [error, reason, reason],
  )
  const never = () => t.fail('a call that is aborted already begins nothing') as never
  await t.throwsAsync(untilAborted(own.call, never), { is: error as Error })
  await t.throwsAsync(untilAborted({ signal: controller.signal }, never), { is: reason })
  t.throws(() => throwIfAborted(own.call), { is: error as Error })
  t.throws(() => throwIfAborted({ signal: controller.signal }), { is: reason })
})
