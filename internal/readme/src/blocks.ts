/** A fenced code block of a Markdown document. */
export interface Block {
  /** The line of its first line of code in the document. */
  readonly line: number
  /** The file it becomes: named in the info string (```` ```ts map-store.ts ````), else for its line. */
  readonly file: string
  readonly code: string
  /** False where the info string says `no-run`: it needs what a test machine may not have. */
  readonly runs: boolean
}

const fence = /^( *)(`{3,})(ts|js)( [^\n]*)?\n(.*?)^\1\2 *$/gms

/** The TypeScript and JavaScript in a Markdown document. */
export function blocksOf(markdown: string): Block[] {
  return [...markdown.matchAll(fence)].map(({ index, 1: indent = '', 3: language, 4: info = '', 5: body = '' }) => {
    const words = info.trim().split(/\s+/)
    const line = markdown.slice(0, index).split('\n').length + 1
    const extension = language === 'js' && /\brequire\(/.test(body) ? 'cjs' : language
    return {
      line,
      file: words.find(word => /^[\w.-]+\.[jt]s$/.test(word)) ?? `line-${line}.${extension}`,
      code: body.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
      runs: !words.includes('no-run'),
    }
  })
}
