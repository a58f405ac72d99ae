import { growth } from './growth/group.js'
import { heap } from './heap/group.js'
import { http } from './http/group.js'
import { importTime } from './import-time/group.js'
import { inProcess } from './in-process/group.js'
import { installation } from './install/group.js'
import { races } from './races/group.js'
import { roundTrips } from './round-trips/group.js'
import { storeCalls } from './store-calls/group.js'

export interface Group {
  readonly title: string
  /** Measures, and gives Markdown. */
  readonly run: () => Promise<string>
  /** Takes so long that it runs only when it is named. */
  readonly isLong?: true
}

/** In the order they run. */
export const groups: Record<string, Group> = {
  'in-process': { title: 'In process', run: inProcess },
  http: { title: 'Over HTTP', run: http },
  'store-calls': { title: 'Store calls alone', run: storeCalls },
  races: { title: 'Parallel requests', run: races },
  'round-trips': { title: 'Round trips per request', run: roundTrips },
  heap: { title: 'Heap', run: heap },
  'import-time': { title: 'Import time', run: importTime },
  install: { title: 'Installation', run: installation },
  growth: { title: 'Growth', run: growth, isLong: true },
}
