import { setTimeout as sleep } from 'node:timers/promises'
import { Clock, patient, slowness, stopwatch, timed, within } from '@koa-session/behaviour/patience'
import test from 'ava'

test('the clock counts the time between timely looks, and not the time for which its process is held up', t => {
  const clock = new Clock(1_000)
  t.is(clock.look(1_010), 10)
  t.is(clock.look(1_029), 29)
  t.is(clock.look(6_029), 49)
  t.is(clock.look(6_030), 50)
})

test('the stopwatch runs while the process waits, and not while it computes', async t => {
  const watch = stopwatch()
  const until = performance.now() + 500
  while (performance.now() < until);
  t.true(watch() < 100)
  const { took, result } = await timed(() => sleep(100, 'done'))
  t.is(result, 'done')
  t.true(took > 0, `${took}`)
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
