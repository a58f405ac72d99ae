import type { SessionRecord, StoreCall } from 'koa-session-core'
import { throwIfAborted } from 'koa-session-core/store'
import { discard, makeDirectory, reportSkipped, sync } from './disk.js'
import { addDue, removeDue, spanOf } from './due.js'
import { type Listing, listFolder, moveTag, publishFolder, removeFolder, removeTag } from './folder.js'
import { folderOf, recordFileOf, shardOf } from './layout.js'
import { listedIn, loadRecordFile, saveRecordFile } from './record-file.js'
import { addEntry, hasEntry, lookForSessions, removeEntry } from './subject-index.js'
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
    if (!preparedShards.has(this.#shard)) {
      await lookForSessions(this.#directory)
      await makeDirectory(this.#shard, this.#directory)
    }
    preparedShards.add(this.#shard)
    const blank = blankTag(this.#key)
    if (await publishFolder(this.#folder, blank)) return blank
    preparedShards.delete(this.#shard)
    return undefined
  }

  /** Replace the tag by the record's. Its data are on the disk before it is. */
  async replace(tag: Tag, record: SessionRecord, call?: StoreCall): Promise<boolean> {
    const { subject, version, data } = record
    const attempt = newAttempt()
    const isListed = tag.listed !== undefined && tag.subject === subject
    const listed = isListed ? tag.listed : attempt
    const named = subject === undefined ? { version } : { version, subject, listed }
    const { expiresAt, seenAt } = record
    const next = makeTag(this.#key, { ...named, expiresAt, seenAt, attempt, previous: tag.attempt })
    try {
      await this.#expireBefore(tag, next)
      const content = { ...named, key: this.#key, data }
      await saveRecordFile(this.#recordFile(next), content, () => sync(this.#shard))
      if (!isListed) await this.#list(next)
      throwIfAborted(call)
      if (!(await moveTag(this.#folder, tag, next))) {
        await this.#withdraw(next)
        return false
      }
    } catch (error) {
      await this.#undo(tag, next).catch(() => {})
      throw error
    }
    await sync(this.#folder)
    if (!isListed) await this.#unlist(tag)
    if (tag.version !== '') await discard(this.#recordFile(tag))
    return true
  }

  /** Give the tag other times. */
  async touch(tag: Tag, times: { readonly seenAt: number; readonly expiresAt: number }): Promise<boolean> {
    const { seenAt, expiresAt } = times
    const next = makeTag(this.#key, { ...tag, seenAt, expiresAt })
    await this.#expireBefore(tag, next)
    if (!(await moveTag(this.#folder, tag, next))) return false
    await sync(this.#folder)
    return true
  }

  /** Take the tag away, and with it the session. */
  async end(tag: Tag): Promise<boolean> {
    if (!(await removeTag(this.#folder, tag))) return false
    await this.#unlist(tag)
    await discard(this.#recordFile(tag))
    await removeFolder(this.#folder)
    return true
  }

  /** Make the present state durable, even if another caller wrote it. */
  async settle(): Promise<void> {
    await sync(this.#folder)
    await sync(this.#shard)
  }

  /** List a session of the first layout under its subject, or one whose entry somebody removed. */
  async ensureListed(tag: Tag): Promise<void> {
    const { subject, listed } = tag
    if (subject === undefined) return
    if (listed !== undefined && (await hasEntry(this.#directory, { key: this.#key, subject, listed }))) return
    const next = makeTag(this.#key, { ...tag, listed: newAttempt() })
    await this.#list(next)
    if (await moveTag(this.#folder, tag, next)) await sync(this.#folder)
    else await this.#unlist(next)
  }

  /**
   * Remove a record file that no tag refers to, unless its writer may still make one. Its writer saw `previous` as the
   * state before making the file, and can only replace that very state. With another state in place, it never will: no
   * state comes back. So a file may be young and still be litter.
   */
  async removeLitter({
    path,
    attempt,
    previous,
  }: {
    readonly path: string
    readonly attempt: string
    readonly previous: string
  }): Promise<void> {
    const { tag, blocked } = await this.list()
    if (blocked || tag?.attempt === attempt || tag?.attempt === previous) return
    const named = await listedIn(path)
    if (tag?.listed !== named.listed) await this.#unlist(named)
    await discard(path)
  }

  #recordFile(tag: Tag): string {
    return recordFileOf(this.#directory, this.#key, tag)
  }

  /** Let sweeps know of a session that is new, or is to expire before it was to. */
  async #expireBefore(tag: Tag, next: Tag): Promise<void> {
    if (tag.version !== '' && spanOf(next.expiresAt) >= spanOf(tag.expiresAt)) return
    await addDue(this.#directory, this.#key, next.expiresAt)
  }

  async #list({ subject, listed }: Listed): Promise<void> {
    if (subject !== undefined && listed !== undefined)
      await addEntry(this.#directory, { key: this.#key, subject, listed })
  }

  async #unlist({ subject, listed }: Listed): Promise<void> {
    if (subject !== undefined && listed !== undefined)
      await removeEntry(this.#directory, { key: this.#key, subject, listed })
  }

  /** Remove what was made for a tag, unless that is in place. */
  async #withdraw(next: Tag): Promise<void> {
    const now = await this.list()
    if (now.blocked || now.tag?.attempt === next.attempt) return
    if (now.tag?.listed !== next.listed) await this.#unlist(next)
    await discard(this.#recordFile(next))
  }

  /** Clean up after an error. The rename may have worked all the same; then its file must stay. */
  async #undo(tag: Tag, next: Tag): Promise<void> {
    if (tag.version === '') {
      await this.end(tag)
      await removeDue(this.#directory, this.#key, next.expiresAt)
    }
    await this.#withdraw(next)
  }
}

type Listed = Partial<Pick<Tag, 'subject' | 'listed'>>
