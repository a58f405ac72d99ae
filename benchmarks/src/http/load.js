/** The load as a process of its own: one message asks for a run, and one answers with what came of it. */
import autocannon from 'autocannon'

process.on('message', async ({ url, cookies, connections, duration }) => {
  let next = 0
  const result = await autocannon({
    url,
    connections,
    duration,
    // The run ends at the next sample.
    sampleInt: 50,
    // Each connection is another visitor.
    setupClient(client) {
      const cookie = cookies[next++ % cookies.length]
      if (cookie) client.setHeaders({ cookie })
    },
  })
  process.send({
    failed: result.non2xx + result.errors + result.timeouts,
    requests: result.requests.total,
    seconds: result.duration,
  })
})
process.on('disconnect', () => process.exit())
process.send('ready')
