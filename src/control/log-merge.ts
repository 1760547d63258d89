// The logs of several instances as one stream of lines, in the order they were written.
import { stat } from 'node:fs/promises'
import { AppError } from '../core/error.js'
import { Bell } from './bell.js'
import { LogCursor, type Piece } from './log-cursor.js'
import { LineSplitter } from './log-lines.js'
import { tailLog } from './log-reader.js'
import { LogWatch } from './log-watch.js'

export interface LogSource {
  id: string
  stream: 'stdout' | 'stderr'
  /** Absolute. */
  path: string
}

export type MergedLine = { id: string; stream: 'stdout' | 'stderr' } & ({ line: Buffer } | { gap: string })

/** A line that has begun is shown unended after this long without more: a prompt, a progress bar. */
export const UNENDED_MS = 1000
/** How often the sources are asked for again. */
export const LOOK_MS = 1000
// A log that is written to without end makes room for the others after a megabyte.
const READS_PER_TURN = 16
// File times come from the kernel's coarse clock, which may be a tick behind ours.
const CLOCK_STEP_MS = 10

/** The last lines of each log, the log written to last coming last.  bytes: per log.  A log that is not there is passed over. */
export async function* tailMerged(sources: LogSource[], bytes: number): AsyncGenerator<MergedLine> {
  for (const { id, stream, path } of await byLastWrite(sources)) {
    const lines = new LineSplitter()
    for await (const piece of await tailOrNothing(path, bytes)) {
      for (const line of lines.push(piece)) yield { id, stream, line }
    }
    const rest = lines.flush()
    if (rest) yield { id, stream, line: rest }
  }
}

interface Feed {
  source: LogSource
  cursor: LogCursor
  lines: LineSplitter
  readAtMs: number
}

/** The last lines of each log, then every line written to any of them, until `signal` aborts.
 *  sources: asked again every LOOK_MS, so that instances which are added later are followed too.
 *  One file is read at a time, in the order their changes were reported, each to its end: that is what keeps the order.
 *  Lines that several programs wrote before we could look once come log by log: the kernel says who wrote first, not how much. */
export async function* followMerged(sources: () => LogSource[], options: FollowOptions): AsyncGenerator<MergedLine> {
  const follow = new MergedFollow(options)
  try {
    await follow.takeUp(sources(), options.bytes)
    while (!options.signal.aborted) {
      if (follow.isTimeToLook()) {
        yield* follow.unendedLines()
        await follow.takeUp(sources(), 0)
      }
      yield* await follow.next()
    }
  } finally {
    await follow.close()
  }
}

interface FollowOptions {
  /** Per log. */
  bytes: number
  signal: AbortSignal
}

class MergedFollow {
  private readonly feeds = new Map<string, Feed>()
  private readonly dirty = new Set<string>()
  private readonly bell: Bell
  private readonly watch: LogWatch
  private readonly beganAtMs = Date.now()
  private hasBegun = false
  private lookedAtMs = performance.now()
  /** The log that is being read, and how often in a row it was. */
  private turn: string | null = null
  private reads = 0

  constructor(options: FollowOptions) {
    this.bell = new Bell(options.signal)
    this.watch = new LogWatch(path => {
      this.dirty.add(path)
      this.bell.ring()
    })
  }

  isTimeToLook(): boolean {
    return performance.now() - this.lookedAtMs >= LOOK_MS
  }

  /** A log that was made after the follow began is read whole. */
  async takeUp(sources: LogSource[], bytes: number): Promise<void> {
    this.lookedAtMs = performance.now()
    for (const source of await byLastWrite(sources.filter(candidate => !this.feeds.has(candidate.path)))) {
      if (this.feeds.has(source.path)) continue
      const { bornMs, isLog } = await factsOf(source.path)
      if (!isLog) continue
      const isNew = this.hasBegun && bornMs >= this.beganAtMs - CLOCK_STEP_MS
      const cursor = new LogCursor(source.path, { bytes: isNew ? Number.MAX_SAFE_INTEGER : bytes, align: 'line' })
      this.feeds.set(source.path, { source, cursor, lines: new LineSplitter(), readAtMs: 0 })
      this.watch.add(source.path)
      this.dirty.add(source.path)
    }
    this.hasBegun = true
  }

  /** What one read of the log that changed first brings; waits where none has changed. */
  async next(): Promise<MergedLine[]> {
    this.bell.reset()
    const path = this.turn ?? this.takeDirty()
    if (path === null) {
      await this.bell.rung(LOOK_MS)
      return []
    }
    const feed = this.feeds.get(path)!
    const piece = await feed.cursor.read()
    this.reads += 1
    // A log keeps its turn until it is read to its end, and is not looked at again before its next event: in both cases it would
    // come before logs that were written to earlier.
    const hasMore = piece !== null && !feed.cursor.atEnd
    this.turn = hasMore && this.reads < READS_PER_TURN ? path : null
    if (hasMore && this.turn === null) this.dirty.add(path)
    if (!piece) return []
    feed.readAtMs = performance.now()
    return linesOf(feed, piece)
  }

  private takeDirty(): string | null {
    this.reads = 0
    for (const path of this.dirty) {
      this.dirty.delete(path)
      return path
    }
    return null
  }

  unendedLines(): MergedLine[] {
    const heldBefore = performance.now() - UNENDED_MS
    return [...this.feeds.values()]
      .filter(feed => feed.lines.isHolding && feed.readAtMs <= heldBefore)
      .map(feed => ({ id: feed.source.id, stream: feed.source.stream, line: feed.lines.flush()! }))
  }

  async close(): Promise<void> {
    this.watch.close()
    this.bell.close()
    await Promise.all([...this.feeds.values()].map(feed => feed.cursor.close()))
  }
}

function linesOf(feed: Feed, piece: Piece): MergedLine[] {
  const { id, stream } = feed.source
  if (piece.kind === 'bytes') return feed.lines.push(piece.bytes).map(line => ({ id, stream, line }))
  const rest = feed.lines.flush()
  return [...(rest ? [{ id, stream, line: rest }] : []), { id, stream, gap: piece.text }]
}

async function tailOrNothing(path: string, bytes: number): Promise<AsyncIterable<Buffer>> {
  try {
    return await tailLog(path, { bytes, align: 'line' })
  } catch (error) {
    if (error instanceof AppError && error.code === 'NO_FILE') return nothing()
    throw error
  }
}

async function* nothing(): AsyncGenerator<Buffer> {}

async function byLastWrite(sources: LogSource[]): Promise<LogSource[]> {
  const dated = await Promise.all(sources.map(async source => ({ source, at: (await factsOf(source.path)).writtenMs })))
  return dated.sort((a, b) => a.at - b.at).map(entry => entry.source)
}

// isLog: false for what is there and no regular file (/dev/null, a pipe): nothing can be read from it again.
async function factsOf(path: string): Promise<{ writtenMs: number; bornMs: number; isLog: boolean }> {
  try {
    const found = await stat(path)
    return { writtenMs: found.mtimeMs, bornMs: found.birthtimeMs, isLog: found.isFile() }
  } catch {
    // Not there yet, or not to be read: the reader itself says which.
    return { writtenMs: 0, bornMs: 0, isLog: true }
  }
}
