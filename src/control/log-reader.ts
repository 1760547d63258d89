// The end of one log, and what is written to it from then on.
import type { FileHandle } from 'node:fs/promises'
import { AppError } from '../core/error.js'
import { Bell } from './bell.js'
import { LogCursor, openLog, type Piece, placeFromEnd, READ_BYTES } from './log-cursor.js'
import { LogWatch } from './log-watch.js'

/** supervisorctl's: what `tail` shows when no number is given. */
export const DEFAULT_TAIL_BYTES = 1600

/** The last bytes of a log, as it is when this is called; what is written meanwhile is not waited for.
 *  path: absolute.  bytes: >= 0.  Yields at most READ_BYTES at a time.  Throws NO_FILE. */
export async function tailLog(path: string, from: { bytes: number; align: 'byte' | 'line' }): Promise<AsyncGenerator<Buffer>> {
  const handle = await openLog(path)
  if (!handle) throw new AppError('NO_FILE', `no log file at ${path}`)
  return readEnd(handle, from)
}

async function* readEnd(handle: FileHandle, from: { bytes: number; align: 'byte' | 'line' }): AsyncGenerator<Buffer> {
  try {
    const { size } = await handle.stat()
    let position = await placeFromEnd(handle, size, from)
    while (position < size) {
      const length = Math.min(READ_BYTES, size - position)
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(length), 0, length, position)
      if (bytesRead === 0) return
      position += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await handle.close()
  }
}

/** The last bytes of a log, then everything that is written to it, through rotations, until `signal` aborts.
 *  A log that is not there yet is waited for.  Pulls: nothing is read before the taker wants more.  Throws the system's errors. */
export async function* followLog(path: string, options: { bytes: number; signal: AbortSignal }): AsyncGenerator<Piece> {
  const cursor = new LogCursor(path, { bytes: options.bytes, align: 'byte' })
  const bell = new Bell(options.signal)
  const watch = new LogWatch(() => bell.ring())
  try {
    watch.add(path)
    while (!options.signal.aborted) {
      bell.reset()
      const piece = await cursor.read()
      if (piece) yield piece
      if (!piece || cursor.atEnd) await bell.rung()
    }
  } finally {
    watch.close()
    bell.close()
    await cursor.close()
  }
}
