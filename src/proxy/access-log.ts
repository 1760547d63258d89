// The access log on disk: lines gathered in memory and written in batches, so that a request never waits for the disk.
// A line becomes bytes at once: a batch of 64 KiB put together when it is due would keep the requests of that moment waiting.
import { statSync } from 'node:fs'
import { basename, dirname, join, parse } from 'node:path'
import { createStream, type Options, type RotatingFileStream } from 'rotating-file-stream'
import { type AccessEntry, accessLine } from '../core/access-line.js'
import type { ProxySpec } from '../core/spec.js'

// rotating-file-stream does one write per chunk: 3 MB/s by the line, 150 MB/s in batches (packages.md section 2).
const BATCH_BYTES = 64 * 1024
// A write and its callbacks take a core for some 0.2 ms: 20 a second were the p99 of 2,000 requests a second.
const BATCH_MS = 250
// What may wait for a slow disk; beyond it lines are dropped and counted.
const QUEUE_BYTES = 8 << 20
const LOOK_MS = 2000
const RETRY_MS = 1000

export type AccessLogSpec = NonNullable<ProxySpec['accessLog']>

/** `owner` rotates; `follower` only appends: a draining worker leaves the renaming to its successor. */
type LogRole = 'owner' | 'follower'

export interface AccessLogOptions {
  spec: AccessLogSpec
  /** 0-based number of the worker.  Every worker has a file of its own, because rotation counts only the bytes of one writer. */
  slot: number
  warn(message: string): void
}

export class AccessLog {
  private readonly spec: AccessLogSpec
  private readonly path: string
  private readonly warn: (message: string) => void
  private role: LogRole = 'owner'
  private rotating = false
  private stream: RotatingFileStream | null = null
  private readonly ending = new Set<RotatingFileStream>()
  private whenClosed: (() => void) | null = null
  private batch: Buffer = Buffer.allocUnsafeSlow(BATCH_BYTES)
  private batchBytes = 0
  private batchLines = 0
  /** A batch that is in the file, for the next but one. */
  private spare: Buffer | null = null
  private timer: NodeJS.Timeout | null = null
  private inode = 0
  private lookAtMs = 0
  private retryAtMs = 0
  private dropped = 0

  constructor(options: AccessLogOptions) {
    this.spec = options.spec
    this.path = slotPath(options.spec.path, options.slot)
    this.warn = options.warn
    this.open()
  }

  record(entry: AccessEntry): void {
    const line = accessLine(entry, this.spec.format)
    // UTF-8 takes at most three bytes for a UTF-16 unit.
    if (this.batchBytes + line.length * 3 > BATCH_BYTES) this.flush()
    if (line.length * 3 > BATCH_BYTES) {
      this.write(Buffer.from(line), 1)
      return
    }
    this.batchBytes += this.batch.write(line, this.batchBytes)
    this.batchLines++
    this.timer ??= setTimeout(() => this.flush(), BATCH_MS)
  }

  /** The file was renamed by somebody else: go on in a new one. */
  reopen(): void {
    this.flush()
    this.finish()
    this.open()
  }

  /** From now on another worker rotates. */
  follow(): void {
    if (this.role === 'follower') return
    this.role = 'follower'
    this.reopen()
  }

  /** Writes what is left; calls back when it is in the files. */
  close(done: () => void): void {
    this.flush()
    this.finish()
    this.whenClosed = done
    this.tellClosed()
  }

  /** Ends the stream, after a rotation that runs: one that is ended in the middle of it loses what it has queued. */
  private finish(): void {
    const { stream } = this
    this.stream = null
    if (stream === null) return
    this.ending.add(stream)
    // 'close' follows the end and every failure alike.
    stream.once('close', () => {
      this.ending.delete(stream)
      this.tellClosed()
    })
    if (this.rotating) stream.once('rotated', () => stream.end())
    else stream.end()
  }

  private tellClosed(): void {
    if (this.ending.size > 0 || this.whenClosed === null) return
    this.whenClosed()
    this.whenClosed = null
  }

  private flush(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    if (this.batchLines === 0) return
    const { batch } = this
    this.write(batch.subarray(0, this.batchBytes), this.batchLines, () => {
      this.spare = batch
    })
    this.batch = this.spare ?? Buffer.allocUnsafeSlow(BATCH_BYTES)
    this.spare = null
    this.batchBytes = 0
    this.batchLines = 0
  }

  /** written: called when the bytes are not needed any more. */
  private write(bytes: Buffer, lines: number, written: () => void = () => {}): void {
    this.lookAround()
    if (this.stream !== null && this.stream.writableLength <= QUEUE_BYTES) {
      this.stream.write(bytes, written)
      return
    }
    this.dropped += lines
    written()
  }

  /** A removed or renamed file takes writes without an error: compare inodes now and then.  A failed stream is tried again. */
  private lookAround(): void {
    const now = Date.now()
    if (this.stream === null) {
      if (now >= this.retryAtMs) this.open()
      return
    }
    if (now < this.lookAtMs || this.rotating || this.inode === 0) return
    this.lookAtMs = now + LOOK_MS
    if (inodeOf(this.path) === this.inode) return
    this.finish()
    this.open()
  }

  private open(): void {
    const { maxBytes, backups } = this.spec
    const { path } = this
    const options: Options = { path: dirname(path), mode: 0o640 }
    if (this.role === 'owner' && maxBytes > 0) Object.assign(options, { size: `${maxBytes}B`, rotate: Math.max(1, backups) })
    const name = basename(path)
    const stream = createStream(index => (typeof index === 'number' && index > 0 ? `${name}.${index}` : name), options)
    this.stream = stream
    this.inode = 0
    this.rotating = false
    stream.on('rotation', () => {
      if (this.stream === stream) this.rotating = true
    })
    stream.on('rotated', () => {
      if (this.stream === stream) this.rotating = false
    })
    stream.on('error', error => this.lost(stream, error))
    stream.on('open', () => {
      if (this.stream === stream) this.inode = inodeOf(path)
      if (this.dropped > 0) this.warn(`access log ${path}: writing again, ${this.dropped} lines were dropped`)
      this.dropped = 0
    })
  }

  private lost(stream: RotatingFileStream, error: Error): void {
    if (this.stream !== stream) return
    this.stream = null
    this.retryAtMs = Date.now() + RETRY_MS
    if (this.dropped === 0) this.warn(`access log ${this.path}: ${error.message}; lines are dropped until it can be written again`)
    this.dropped++
  }
}

/** `access.log` for the first worker, `access.w1.log` for the second. */
function slotPath(path: string, slot: number): string {
  if (slot === 0) return path
  const { dir, name, ext } = parse(path)
  return join(dir, `${name}.w${slot}${ext}`)
}

function inodeOf(path: string): number {
  try {
    return statSync(path).ino
  } catch {
    // Not there: the next write must make it anew.
    return 0
  }
}
