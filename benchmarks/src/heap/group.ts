import { Child } from '../harness/child.js'
import { table } from '../harness/table.js'

const sessions = 100_000

const contenders = {
  floor: 'floor: a Map of JSON',
  ours: 'koa-session-core',
  'koa-session': 'koa-session 7, a Map of JSON',
}

/** The heap that sessions in memory take. */
export async function heap(): Promise<string> {
  const rows: string[][] = []
  let least = 0
  for (const [name, title] of Object.entries(contenders)) {
    const child = new Child(new URL('fill.js', import.meta.url), [name, String(sessions)], { flags: ['--expose-gc'] })
    const bytes = await child.answer<number>()
    await child.end()
    least ||= bytes
    rows.push([title, (bytes / 2 ** 20).toFixed(1), (bytes / sessions).toFixed(0), (bytes / least).toFixed(2)])
  }
  return [
    `What the heap has grown by after ${sessions.toLocaleString('en')} visitors have signed in, each with 400 bytes of data, in a process of its own and after the`,
    'garbage was collected.',
    '',
    table(['', 'MiB', 'bytes per session', 'to floor'], rows),
  ].join('\n')
}
