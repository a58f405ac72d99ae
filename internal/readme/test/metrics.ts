import { pathToFileURL } from 'node:url'
import { metrics } from '@opentelemetry/api'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics'
import test from 'ava'
import { memoryStore, session } from 'koa-session-core'
import type { Workplace } from '../dist/workplace.js'

/** The test of the metrics in docs/operating.md, whose block is in `workplace`. */
export function metricsTest(workplace: Workplace): void {
  test.serial('the metrics of docs/operating.md count events and measure store calls', async t => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
    const provider = new MeterProvider({ readers: [reader] })
    metrics.setGlobalMeterProvider(provider)
    t.teardown(() => provider.shutdown())
    await import(pathToFileURL(workplace.path('metrics.ts')).href)

    const store = memoryStore()
    const sessions = session({ store, subject: () => 'ada' })
    await sessions.create({})
    store.write = () => Promise.reject(new Error('down'))
    await t.throwsAsync(sessions.revokeAll('ada'))

    await reader.forceFlush()
    const found = exporter
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics)
      .flatMap(each => each.metrics)
      .flatMap(({ descriptor, dataPoints }) =>
        dataPoints.map(({ attributes }) => ({ name: descriptor.name, attributes })),
      )
    const event = { name: 'session.events', attributes: { type: 'created', store: 'memory' } }
    const call = (operation: string, outcome: string) => ({
      name: 'session.store.duration',
      attributes: { store: 'memory', operation, outcome },
    })
    for (const one of [event, call('write', 'true'), call('write', 'failed')]) {
      t.true(
        found.some(each => JSON.stringify(each) === JSON.stringify(one)),
        JSON.stringify({ one, found }),
      )
    }
  })
}
