// The access log on disk: lines gathered in memory and written in batches, so that a request never waits for the disk.
import { statSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { createStream, type Options, type RotatingFileStream } from 'rotating-file-stream'
import { type AccessEntry, accessLine } from '../core/access-line.js'
import type { ProxySpec } from '../core/spec.js'

// rotating-file-stream does one write per chunk: 3 MB/s by the line, 150 MB/s in batches (packages.md section 2).
const BATCH_BYTES = 64 * 1024
const BATCH_MS = 50
// What may wait for a slow disk; beyond it lines are dropped and counted.
const QUEUE_BYTES = 8 << 20
const LOOK_MS = 2000
const RETRY_MS = 1000

export type AccessLogSpec = NonNullable<ProxySpec['accessLog']>

/** `owner` rotates; `follower` only appends, and follows the owner's rotations: one file has one that renames it. */
export type LogRole = 'owner' | 'follower'

export interface AccessLogOptions {
  spec: AccessLogSpec
  role: LogRole
  warn(message: string): void
}

export class AccessLog {
  private readonly spec: AccessLogSpec
  private readonly warn: (message: string) => void
  private role: LogRole
  private stream: RotatingFileStream | null = null
  private batch: string[] = []
  private batchBytes = 0
  private timer: NodeJS.Timeout | null = null
  private inode = 0
  private lookAtMs = 0
  private retryAtMs = 0
  private dropped = 0

  constructor(options: AccessLogOptions) {
    this.spec = options.spec
    this.role = options.role
    this.warn = options.warn
    this.open()
  }

  record(entry: AccessEntry): void {
    const line = accessLine(entry, this.spec.format)
    this.batch.push(line)
    this.batchBytes += line.length
    if (this.batchBytes >= BATCH_BYTES) this.flush()
    else this.timer ??= setTimeout(() => this.flush(), BATCH_MS)
  }

  /** The file was renamed by somebody else: go on in a new one. */
  reopen(): void {
    this.flush()
    this.stream?.end()
    this.open()
  }

  /** From now on another worker rotates. */
  follow(): void {
    if (this.role === 'follower') return
    this.role = 'follower'
    this.reopen()
  }

  /** Writes what is left; calls back when it is on its way to the disk. */
  close(done: () => void): void {
    this.flush()
    if (this.stream === null) done()
    else this.stream.end(done)
    this.stream = null
  }

  private flush(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    if (this.batch.length === 0) return
    const lines = this.batch
    const text = lines.join('')
    this.batch = []
    this.batchBytes = 0
    this.lookAround()
    if (this.stream === null || this.stream.writableLength > QUEUE_BYTES) {
      this.dropped += lines.length
      return
    }
    this.stream.write(text)
  }

  /** A removed or renamed file takes writes without an error: compare inodes now and then.  A failed stream is tried again. */
  private lookAround(): void {
    const now = Date.now()
    if (this.stream === null) {
      if (now >= this.retryAtMs) this.open()
      return
    }
    if (now < this.lookAtMs) return
    this.lookAtMs = now + LOOK_MS
    const inode = inodeOf(this.spec.path)
    if (this.inode === 0) this.inode = inode
    if (inode === this.inode) return
    // Our own rotation has also made a new file; then the stream writes into it already.
    if (this.role === 'owner' && inode !== 0) this.inode = inode
    else {
      this.stream.end()
      this.open()
    }
  }

  private open(): void {
    const { path, maxBytes, backups } = this.spec
    const options: Options = { path: dirname(path), mode: 0o640 }
    if (this.role === 'owner' && maxBytes > 0) Object.assign(options, { size: `${maxBytes}B`, rotate: Math.max(1, backups) })
    const name = basename(path)
    const stream = createStream(index => (typeof index === 'number' && index > 0 ? `${name}.${index}` : name), options)
    this.stream = stream
    this.inode = 0
    stream.on('error', error => this.lost(stream, error))
    stream.on('open', () => {
      if (this.dropped > 0) this.warn(`access log ${path}: writing again, ${this.dropped} lines were dropped`)
      this.dropped = 0
    })
  }

  private lost(stream: RotatingFileStream, error: Error): void {
    if (this.stream !== stream) return
    this.stream = null
    this.retryAtMs = Date.now() + RETRY_MS
    if (this.dropped === 0) this.warn(`access log ${this.spec.path}: ${error.message}; lines are dropped until it can be written again`)
    this.dropped++
  }
}

function inodeOf(path: string): number {
  try {
    return statSync(path).ino
  } catch {
    // Not there: the next write must make it anew.
    return 0
  }
}
