import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { hasCode } from './disk.js'

/** The first line of a record file. It proves that the rest is whole and belongs here. */
interface Header {
  readonly format: 1
  readonly key: string
  readonly version: string
  readonly bytes: number
  readonly sha256: string
}

type Loaded =
  | { readonly data: string; readonly damage?: undefined }
  | { readonly data?: undefined; readonly damage: string }

// A symbolic link is not followed, and opening a FIFO must not wait for its writer.
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const firstRead = 16 * 1024

/** Write a record file that must not exist yet. When this resolves, its content is on the disk. */
export async function saveRecordFile(path: string, key: string, version: string, data: string): Promise<void> {
  const body = Buffer.from(data)
  const header: Header = { format: 1, key, version, bytes: body.length, sha256: sha256(body) }
  const content = Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), body])
  const handle = await open(path, 'wx', 0o600)
  try {
    for (let at = 0; at < content.length; ) {
      at += (await handle.write(content, at, content.length - at, at)).bytesWritten
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The data in a record file, or why there is none. Rejects only when the file system fails. */
export async function loadRecordFile(path: string, key: string, version: string): Promise<Loaded> {
  let handle: Awaited<ReturnType<typeof open>>
  try {
    handle = await open(path, readFlags)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return { damage: 'missing' }
    if (hasCode(error, 'ELOOP', 'EMLINK')) return { damage: 'a symbolic link' }
    if (hasCode(error, 'ENXIO', 'EOPNOTSUPP')) return { damage: 'not a regular file' }
    throw error
  }
  try {
    const stat = await handle.stat()
    if (!stat.isFile()) return { damage: 'not a regular file' }
    const start = Buffer.alloc(Math.min(stat.size, firstRead))
    await handle.read(start, 0, start.length, 0)
    const line = start.indexOf('\n')
    const header = parseHeader(start.toString('utf8', 0, Math.max(line, 0)))
    if (header?.key !== key || header.version !== version) return { damage: stat.size === 0 ? 'empty' : 'foreign' }
    // Compared first, so that a huge foreign file is never read into memory.
    if (stat.size !== line + 1 + header.bytes) return { damage: 'torn' }
    const content = stat.size > start.length ? await handle.readFile() : start
    const body = content.subarray(line + 1)
    return sha256(body) === header.sha256 ? { data: body.toString() } : { damage: 'torn' }
  } finally {
    await handle.close()
  }
}

function parseHeader(text: string): Header | undefined {
  try {
    const header = JSON.parse(text) as Header | null
    return header?.format === 1 ? header : undefined
  } catch {
    return undefined
  }
}

const sha256 = (body: Buffer): string => createHash('sha256').update(body).digest('hex')
