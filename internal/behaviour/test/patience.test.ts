import { setTimeout as sleep } from 'node:timers/promises'
import { patient, slowness, stopwatch, timed, within } from '@koa-session/behaviour/patience'
import test from 'ava'

test('the stopwatch counts the time that a process waits, and not that for which it is held up', async t => {
  const watch = stopwatch()
  const until = performance.now() + 500
  while (performance.now() < until);
  t.true(watch() < 100)
  const { took, result } = await timed(() => sleep(500, 'done'))
  t.is(result, 'done')
  // Timers may be a millisecond early, and the stopwatch looks every ten.
  t.true(took > 250 && took < 650, `${took}`)
})

test('within gives what work in time resolves or rejects to, and fails for work that takes longer', async t => {
  t.is(await within(1_000, sleep(1, 'done'), 'late'), 'done')
  await t.throwsAsync(within(1_000, Promise.reject(new Error('down')), 'late'), { message: 'down' })
  await t.throwsAsync(within(50, new Promise(() => {}), 'late'), { message: 'late' })
})

test('bounds are never narrower than on an idle machine', t => {
  t.true(slowness >= 1)
  t.true(patient(1_000) >= 1_000)
})
