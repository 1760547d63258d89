// The daemon's own log: one line per event, to a rotated file and, where asked, to the terminal too.
import { mkdirSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { createStream, type RotatingFileStream } from 'rotating-file-stream'
import type { LogSpec } from '../core/spec.js'

export type Level = 'INFO' | 'WARN' | 'ERROR'

export interface DaemonLog {
  write(level: Level, message: string): void
  /** Closes and opens the file again, after somebody else has moved it. */
  reopen(): void
  /** From here on lines go where spec says. */
  move(spec: LogSpec): void
  close(): Promise<void>
}

/** Lines that wait for a slow disk; beyond this the oldest are dropped and counted. */
const QUEUE_BYTES = 1024 * 1024
const FLUSH_MS = 50

/** echo: where each line goes as well (the terminal), or null.  A disk that is full or gone costs lines, and so does a reader of the echo that
 *  has left; never the daemon. */
export function openDaemonLog(first: LogSpec, echo: NodeJS.WritableStream | null): DaemonLog {
  let spec = first
  let stream = open(spec)
  /** Files that were moved away from and still take their last lines. */
  let ended: Promise<unknown> = Promise.resolve()
  let isHeard = echo !== null
  // A closed pipe, a terminal that is gone.
  echo?.on('error', () => {
    isHeard = false
  })
  let queue: string[] = []
  let queuedBytes = 0
  let dropped = 0
  let timer: NodeJS.Timeout | null = null

  const flush = (): void => {
    timer = null
    if (queue.length === 0) return
    if (stream === null || stream.destroyed) stream = open(spec)
    if (dropped > 0) queue.push(line('WARN', `${dropped} log lines were lost: the disk was full or too slow`))
    stream?.write(queue.join(''))
    queue = []
    queuedBytes = 0
    dropped = 0
  }
  const reopen = (): void => {
    flush()
    ended = Promise.all([ended, finish(stream)])
    stream = open(spec)
  }
  return {
    write(level, message) {
      const text = line(level, message)
      if (isHeard) echo?.write(text)
      queue.push(text)
      queuedBytes += text.length
      while (queuedBytes > QUEUE_BYTES) {
        queuedBytes -= (queue.shift() as string).length
        dropped++
      }
      timer ??= setTimeout(flush, FLUSH_MS).unref()
    },
    reopen,
    move(next) {
      if (JSON.stringify(next) === JSON.stringify(spec)) return
      spec = next
      reopen()
    },
    async close() {
      if (timer !== null) clearTimeout(timer)
      flush()
      await Promise.all([ended, finish(stream)])
    },
  }
}

/** Resolves when all that was written is in the file, or never will be. */
async function finish(stream: RotatingFileStream | null): Promise<void> {
  if (stream === null || stream.destroyed) return
  await new Promise<void>(resolve => stream.once('error', () => resolve()).end(() => resolve()))
}

/** null where the file cannot be opened now: the next flush tries again. */
function open(spec: LogSpec): RotatingFileStream | null {
  try {
    mkdirSync(dirname(spec.path), { recursive: true })
    const rotation = spec.maxBytes > 0 && spec.backups > 0 ? { size: `${spec.maxBytes}B` as const, rotate: spec.backups } : {}
    const stream = createStream(backupName(spec), { path: dirname(spec.path), ...rotation })
    // Without a listener a full disk would end the daemon; the stream is made anew by the next flush.
    stream.on('error', () => stream.destroy())
    return stream
  } catch {
    // The directory cannot be made; the same holds.
    return null
  }
}

/** guard.log, guard.log.1, guard.log.2 …: the names the shim gives too. */
function backupName(spec: LogSpec): (index: number | Date | null) => string {
  const name = basename(spec.path)
  return index => (index === null || index === 0 ? name : `${name}.${String(index)}`)
}

/** supervisord's line: local time, level, text.  Line ends inside the text are shown, not obeyed. */
function line(level: Level, message: string): string {
  const now = new Date()
  const local = new Date(now.getTime() - now.getTimezoneOffset() * 60_000).toISOString()
  return `${local.slice(0, 10)} ${local.slice(11, 19)},${local.slice(20, 23)} ${level} ${message.replaceAll('\n', '\\n')}\n`
}
