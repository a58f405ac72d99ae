/**
 * One server under comparison as a process of its own: tells its port, and then, whenever asked, the processor time that it
 * has used so far in microseconds.
 */
import { contender } from '../apps/contenders.js'

const [library, storage] = process.argv.slice(2)
const app = await contender(library, storage, { url: process.env.BENCH_URL, folder: process.env.BENCH_FOLDER })

if (process.env.BENCH_EVENTS) {
  const { channel, tracingChannel } = await import('node:diagnostics_channel')
  const counts = { conflict: 0 }
  channel('koa-session:event').subscribe(({ type }) => {
    counts[type] = (counts[type] ?? 0) + 1
  })
  tracingChannel('koa-session:store').subscribe({
    start({ operation }) {
      counts[operation] = (counts[operation] ?? 0) + 1
    },
  })
  process.on('message', question => question === 'events' && process.send(counts))
}

process.on('message', question => {
  if (question !== 'processor time') return
  const { user, system } = process.cpuUsage()
  process.send(user + system)
})
process.on('disconnect', () => process.exit())

if (library.includes('fastify')) {
  await app.listen({ port: 0, host: '127.0.0.1' })
  process.send(app.server.address().port)
} else {
  const server = app.listen(0, '127.0.0.1', () => process.send(server.address().port))
}
