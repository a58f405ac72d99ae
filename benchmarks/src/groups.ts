import { http } from './http/group.js'
import { inProcess } from './in-process/group.js'
import { races } from './races/group.js'
import { storeCalls } from './store-calls/group.js'

export interface Group {
  readonly title: string
  /** Measures, and gives Markdown. */
  readonly run: () => Promise<string>
}

/** In the order they run. */
export const groups: Record<string, Group> = {
  'in-process': { title: 'In process', run: inProcess },
  'store-calls': { title: 'Store calls alone', run: storeCalls },
  races: { title: 'Parallel requests', run: races },
  http: { title: 'Over HTTP', run: http },
}
