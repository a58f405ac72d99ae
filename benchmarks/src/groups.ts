import { inProcess } from './in-process/group.js'

export interface Group {
  readonly title: string
  /** Measures, and gives Markdown. */
  readonly run: () => Promise<string>
}

/** In the order they run. */
export const groups: Record<string, Group> = {
  'in-process': { title: 'In process', run: inProcess },
}
