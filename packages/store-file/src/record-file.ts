import { hash } from 'node:crypto'
import { constants } from 'node:fs'
import { all, close, finish, fstat, hasCode, open, read } from './disk.js'

/** The first line of a record file. It proves that the rest is whole and belongs here. */
interface Header {
  readonly format: 1
  readonly key: string
  readonly version: string
  readonly bytes: number
  readonly sha256: string
  /** The tag's own words, for a sweep that finds this file without it. */
  readonly subject?: string
  readonly listed?: string
}

type Loaded =
  | { readonly data: string; readonly damage?: undefined }
  | { readonly data?: undefined; readonly damage: string }

// A symbolic link is not followed, and opening a FIFO must not wait for its writer.
const readFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
const firstRead = 16 * 1024

/**
 * Write a record file that must not exist yet. When this resolves, its content is on the disk. `afterCreation` runs beside
 * the writing, as soon as the file has its entry in the directory.
 */
export async function saveRecordFile(
  path: string,
  { data, ...named }: Pick<Header, 'key' | 'version' | 'subject' | 'listed'> & { readonly data: string },
  afterCreation: () => Promise<void>,
): Promise<void> {
  const header: Header = { format: 1, ...named, bytes: Buffer.byteLength(data), sha256: hash('sha256', data) }
  const content = Buffer.from(`${JSON.stringify(header)}\n${data}`)
  const descriptor = await open(path, 'wx', 0o600)
  await all(finish(descriptor, content), afterCreation())
}

/** The data in a record file, or why there is none. Rejects only when the file system fails. */
export async function loadRecordFile(path: string, key: string, version: string): Promise<Loaded> {
  let descriptor: number
  try {
    descriptor = await open(path, readFlags)
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return { damage: 'missing' }
    if (hasCode(error, 'ELOOP', 'EMLINK')) return { damage: 'a symbolic link' }
    if (hasCode(error, 'ENXIO', 'EOPNOTSUPP')) return { damage: 'not a regular file' }
    throw error
  }
  try {
    return await loadFrom(descriptor, key, version)
  } catch (error) {
    // A directory, or a FIFO, in which there are no positions.
    if (hasCode(error, 'EISDIR', 'ESPIPE')) return { damage: 'not a regular file' }
    throw error
  } finally {
    await close(descriptor)
  }
}

async function loadFrom(descriptor: number, key: string, version: string): Promise<Loaded> {
  const first = Buffer.allocUnsafe(firstRead)
  let { bytesRead: size } = await read(descriptor, first, 0, firstRead, 0)
  let content: Buffer = first.subarray(0, size)
  const start = content.indexOf('\n') + 1
  const header = parseHeader(content.toString('utf8', 0, start))
  const whole = start + (header?.bytes ?? 0)
  // A small file is whole by now, and needs no look at its size.
  if (size !== whole || size === firstRead) {
    const stat = await fstat(descriptor)
    if (!stat.isFile()) return { damage: 'not a regular file' }
    size = stat.size
  }
  if (header?.key !== key || header.version !== version) return { damage: size === 0 ? 'empty' : 'foreign' }
  // Compared before the rest is read, so that a huge foreign file never gets into memory.
  if (size !== whole) return { damage: 'torn' }
  if (size > content.length) content = await readRest(descriptor, content, size)
  const body = content.subarray(start)
  return hash('sha256', body) === header.sha256 ? { data: body.toString() } : { damage: 'torn' }
}

async function readRest(descriptor: number, start: Buffer, size: number): Promise<Buffer> {
  const content = Buffer.concat([start], size)
  for (let at = start.length; at < size; ) {
    const { bytesRead } = await read(descriptor, content, at, size - at, at)
    if (bytesRead === 0) break
    at += bytesRead
  }
  return content
}

/** The subject and the entry that a record file names, if it does: nothing in it can be trusted. Rejects never. */
export async function listedIn(path: string): Promise<Pick<Header, 'subject' | 'listed'>> {
  const start = Buffer.alloc(1024)
  try {
    const descriptor = await open(path, readFlags)
    await read(descriptor, start, 0, start.length, 0).finally(() => close(descriptor))
  } catch {}
  const { subject = '', listed = '' } = parseHeader(start.toString('utf8', 0, start.indexOf('\n') + 1)) ?? {}
  return /^[0-9a-f]{64}_[0-9a-f]{16}$/.test(`${subject}_${listed}`) ? { subject, listed } : {}
}

function parseHeader(text: string): Header | undefined {
  try {
    const header = JSON.parse(text) as Header | null
    return header?.format === 1 ? header : undefined
  } catch {
    return undefined
  }
}
