import type { SessionRecord, StoreCall } from 'koa-session-core'
import { throwIfAborted } from 'koa-session-core/store'
import { discard, makeDirectory, reportSkipped, sync } from './disk.js'
import { type Listing, listFolder, moveTag, publishFolder, removeFolder, removeTag } from './folder.js'
import { folderOf, recordFileOf, shardOf } from './layout.js'
import { loadRecordFile, saveRecordFile } from './record-file.js'
import { blankTag, makeTag, newAttempt, type Tag } from './tag.js'

const preparedShards = new Set<string>()

/** The atomic steps on one session. Each is conditional on the tag it is given: losing is `false`, and nothing changed. */
export class SessionCell {
  readonly #directory: string
  readonly #key: string
  readonly #shard: string
  readonly #folder: string

  constructor(directory: string, key: string) {
    this.#directory = directory
    this.#key = key
    this.#folder = folderOf(directory, key)
    this.#shard = shardOf(directory, key)
  }

  list(): Promise<Listing> {
    return listFolder(this.#folder, this.#key)
  }

  /** The data that the tag refers to. `undefined`: damaged, with a warning. `'changed'`: the tag was replaced meanwhile. */
  async load(tag: Tag): Promise<SessionRecord | 'changed' | undefined> {
    const { version, expiresAt, seenAt, subject } = tag
    const path = this.#recordFile(tag)
    const { data, damage } = await loadRecordFile(path, this.#key, version)
    if (data !== undefined) return { data, expiresAt, seenAt, version, ...(subject !== undefined && { subject }) }
    if ((await this.list()).tag?.attempt !== tag.attempt) return 'changed'
    reportSkipped(path, damage)
    return undefined
  }

  /** Put a blank tag in place if there is none. `undefined`: another caller was faster. */
  async open(): Promise<Tag | undefined> {
    if (!preparedShards.has(this.#shard)) await makeDirectory(this.#shard, this.#directory)
    preparedShards.add(this.#shard)
    const blank = blankTag(this.#key)
    if (await publishFolder(this.#folder, blank)) return blank
    preparedShards.delete(this.#shard)
    return undefined
  }

  /** Replace the tag by the record's. Its data are on the disk before it is. */
  async replace(tag: Tag, record: SessionRecord, call?: StoreCall): Promise<boolean> {
    const next = makeTag(this.#key, { ...record, attempt: newAttempt(), previous: tag.attempt })
    const path = this.#recordFile(next)
    try {
      const { version, data } = record
      await saveRecordFile(path, { key: this.#key, version, data }, () => sync(this.#shard))
      throwIfAborted(call)
      if (!(await moveTag(this.#folder, tag, next))) {
        await discard(path)
        return false
      }
    } catch (error) {
      await this.#undo(tag, next).catch(() => {})
      throw error
    }
    await sync(this.#folder)
    if (tag.version !== '') await discard(this.#recordFile(tag))
    return true
  }

  /** Give the tag other times. */
  async touch(tag: Tag, times: { readonly seenAt: number; readonly expiresAt: number }): Promise<boolean> {
    const { seenAt, expiresAt } = times
    if (!(await moveTag(this.#folder, tag, makeTag(this.#key, { ...tag, seenAt, expiresAt })))) return false
    await sync(this.#folder)
    return true
  }

  /** Take the tag away, and with it the session. */
  async end(tag: Tag): Promise<boolean> {
    if (!(await removeTag(this.#folder, tag))) return false
    await discard(this.#recordFile(tag))
    await removeFolder(this.#folder)
    return true
  }

  /** Make the present state durable, even if another caller wrote it. */
  async settle(): Promise<void> {
    await sync(this.#folder)
    await sync(this.#shard)
  }

  #recordFile(tag: Tag): string {
    return recordFileOf(this.#directory, this.#key, tag)
  }

  /** Clean up after an error. The rename may have worked all the same; then its file must stay. */
  async #undo(tag: Tag, next: Tag): Promise<void> {
    if (tag.version === '') await this.end(tag)
    const now = await this.list()
    if (!now.blocked && now.tag?.attempt !== next.attempt) await discard(this.#recordFile(next))
  }
}
