import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import test from 'ava'
import { remembering } from '../../dist/remembering.js'

function counted(most?: number) {
  const asked: string[] = []
  const derive = (text: string) => {
    asked.push(text)
    return `derived ${text}`
  }
  return { asked, get: remembering(derive, most) }
}

test('a text is derived once as long as it is among the last ones', t => {
  const { asked, get } = counted(3)
  const texts = ['a', 'b', 'c', 'a', 'd', 'c', 'b', 'd']
  t.deepEqual(
    texts.map(text => get(text)),
    texts.map(text => `derived ${text}`),
  )
  t.deepEqual(asked, ['a', 'b', 'c', 'd'])
})

test('no more than twice the number of texts is remembered', t => {
  const { asked, get } = counted(3)
  const texts = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
  for (const text of texts) get(text)
  for (const text of ['d', 'e', 'f', 'g']) get(text)
  t.deepEqual(asked, texts)
  get('a')
  t.deepEqual(asked, [...texts, 'a'])
})

test('a header of which one part is remembered does not stay in memory', t => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const heap = () => {
    collect()
    return process.memoryUsage().heapUsed / 2 ** 20
  }
  const get = remembering(text => `${text.length}`)
  const before = heap()
  for (let n = 0; n < 4_000; n++) {
    const header = JSON.parse(JSON.stringify(`sid=${n}-${'x'.repeat(40)}; theme=${'y'.repeat(8_000)}`))
    t.is(get(header.slice(4, 47)), '43')
  }
  const growth = heap() - before
  t.true(growth < 8, `${growth} MiB; the headers have 31`)
  t.is(get('the same memory'), '15')
})
