// A place in a log that moves on through rotations and truncations, without a gap and without a repeat.
import { existsSync } from 'node:fs'
import { constants, type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { AppError } from '../core/error.js'

/** bytes: the log's next bytes as they are.  gap: what a person must know instead of being shown a whole that is not one. */
export type Piece = { kind: 'bytes'; bytes: Buffer } | { kind: 'gap'; text: string }

/** One read returns at most this. */
export const READ_BYTES = 65_536
export const TRUNCATED = '==> File truncated <=='
export const ROTATED_AWAY = '==> Output may be missing here: the log was rotated away before it was read <=='

// So many bytes before the place are read again with every read: a log that was emptied and has already grown beyond
// the place again has the same inode and a good size, only its bytes give it away.
const OVERLAP_BYTES = 32
const CHAIN_TRIES = 20
// A missing number is the middle of a rotation at the first looks, a backup somebody removed at the last ones.
const TRIES_FOR_NEIGHBOUR = 15
// So many missing numbers in a row are no hole that a rotation leaves for a moment.
const MISSES_AT_THE_END = 3
const NONE = Buffer.alloc(0)

interface Link {
  /** 0 is the log itself, 1 the newest backup. */
  number: number
  /** Device and inode.  A file we hold keeps its own from being used again. */
  id: string
}

/** Rotation renames (log → log.1 → log.2 …), so an open file stays itself while its name changes: the cursor holds the file it
 *  reads, and when that is read to its end and bears a number, goes on with the file one number below.
 *  `read` gives null where there is nothing new yet.  Throws NO_FILE where it is no regular file, and the system's errors. */
export class LogCursor {
  readonly path: string
  private readonly fromEnd: { bytes: number; align: 'byte' | 'line' }
  private handle: FileHandle | null = null
  private id = ''
  /** What the held file was called when it was opened; it can only have grown since. */
  private number = 0
  private position = 0
  private overlap: Buffer = NONE
  /** The log was there when following began, so only its end is wanted. */
  private wasThere: boolean

  /** path: absolute.  fromEnd: where to begin in a log that is there already; one that comes later is read whole. */
  constructor(path: string, fromEnd: { bytes: number; align: 'byte' | 'line' }) {
    this.path = path
    this.fromEnd = fromEnd
    this.wasThere = existsSync(path)
  }

  /** False where another read may bring more at once.  True: whatever comes now is told by the directory's next event. */
  atEnd = false

  async read(): Promise<Piece | null> {
    this.atEnd = false
    if (!this.handle && !(await this.begin())) return null
    const piece = await this.readOn()
    if (piece) {
      this.atEnd = piece.kind === 'bytes' && piece.bytes.length < READ_BYTES && (await idOf(this.path)) === this.id
      return piece
    }
    const head = await idOf(this.path)
    // No file by that name: the middle of a rotation, or the log was removed. Either way the next one has not come.
    if (head === null || head === this.id) return null
    // The writer has gone on to another file, so what this one has now is all it will ever have.
    return (await this.readOn()) ?? (await this.goOn())
  }

  async close(): Promise<void> {
    const handle = this.handle
    this.handle = null
    await handle?.close()
  }

  private async begin(): Promise<boolean> {
    const handle = await openLog(this.path)
    const { wasThere } = this
    this.wasThere = false
    if (!handle) return false
    try {
      this.id = await idOfHandle(handle)
      this.position = wasThere ? await placeFromEnd(handle, (await handle.stat()).size, this.fromEnd) : 0
      this.overlap = await bytesBefore(handle, this.position)
    } catch (error) {
      await handle.close()
      throw error
    }
    this.handle = handle
    return true
  }

  private async readOn(): Promise<Piece | null> {
    const held = this.overlap.length
    const buffer = Buffer.allocUnsafe(held + READ_BYTES)
    const { bytesRead } = await this.handle!.read(buffer, 0, buffer.length, this.position - held)
    const again = buffer.subarray(0, Math.min(held, bytesRead))
    if (!again.equals(this.overlap)) {
      this.position = 0
      this.overlap = NONE
      return { kind: 'gap', text: TRUNCATED }
    }
    if (bytesRead === held) return null
    this.position += bytesRead - held
    this.overlap = Buffer.from(buffer.subarray(Math.max(0, bytesRead - OVERLAP_BYTES), bytesRead))
    return { kind: 'bytes', bytes: buffer.subarray(held, bytesRead) }
  }

  // Names move while we look, but only upwards. So if the held file bears the same number before and after the one below it was
  // opened, it bore it in between too, and the opened one is its successor: nothing else can come between the two.
  private async goOn(): Promise<Piece | null> {
    for (let attempt = 0; attempt < CHAIN_TRIES; attempt++) {
      const number = await this.ownNumber()
      if (number === 0) return null
      if (number === null) return this.skipToOldest()
      const below = await this.openBelow(number, attempt < TRIES_FOR_NEIGHBOUR ? number - 1 : 0)
      if (!below) continue
      if ((await idOf(numbered(this.path, number))) !== this.id) {
        await below.handle.close()
        continue
      }
      await this.switchTo(below)
      return below.number === number - 1 ? this.readOn() : { kind: 'gap', text: ROTATED_AWAY }
    }
    return null
  }

  /** The number the held file bears now; null where it has none any more. */
  private async ownNumber(): Promise<number | null> {
    for (let number = this.number, misses = 0; misses < MISSES_AT_THE_END; number++) {
      const id = await idOf(numbered(this.path, number))
      if (id === this.id) return number
      misses = id === null ? misses + 1 : 0
    }
    const chain = await chainOf(this.path)
    return chain.find(link => link.id === this.id)?.number ?? null
  }

  private async openBelow(number: number, lowest: number): Promise<Opened | null> {
    for (let below = number - 1; below >= lowest; below--) {
      const handle = await openLog(numbered(this.path, below))
      if (handle) return { handle, number: below }
    }
    return null
  }

  // The held file is gone: what was written between it and the oldest that is left, if anything, nobody can say.
  private async skipToOldest(): Promise<Piece | null> {
    for (let attempt = 0; attempt < CHAIN_TRIES; attempt++) {
      const oldest = (await chainOf(this.path)).at(-1)
      if (!oldest) return null
      const handle = await openLog(numbered(this.path, oldest.number))
      if (!handle) continue
      if ((await chainOf(this.path)).at(-1)?.id === oldest.id && (await idOfHandle(handle)) === oldest.id) {
        await this.switchTo({ handle, number: oldest.number })
        return { kind: 'gap', text: ROTATED_AWAY }
      }
      await handle.close()
    }
    return null
  }

  private async switchTo({ handle, number }: Opened): Promise<void> {
    await this.handle!.close()
    this.handle = handle
    this.id = await idOfHandle(handle)
    this.number = number
    this.position = 0
    this.overlap = NONE
  }
}

interface Opened {
  handle: FileHandle
  number: number
}

/** A log opened for reading, null where there is none.  Throws NO_FILE where it is a device or a pipe, and the system's errors.
 *  O_NONBLOCK: opening a FIFO would wait for a writer. */
export async function openLog(path: string): Promise<FileHandle | null> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(absentAs(null))
  if (!handle || (await handle.stat()).isFile()) return handle
  await handle.close()
  throw new AppError('NO_FILE', `${path} is not a regular file, so it cannot be read again`)
}

/** The place `bytes` before the end; align 'line': from there on to the next line that begins there, within one read.
 *  Returns a byte offset, 0 <= offset <= size. */
export async function placeFromEnd(handle: FileHandle, size: number, from: { bytes: number; align: 'byte' | 'line' }): Promise<number> {
  const place = Math.max(0, size - from.bytes)
  if (from.align === 'byte' || place === 0 || place === size) return place
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, place - 1)
  const newline = buffer.subarray(0, bytesRead).indexOf(0x0a)
  return newline < 0 ? place : Math.min(size, place + newline)
}

async function bytesBefore(handle: FileHandle, position: number): Promise<Buffer> {
  const length = Math.min(OVERLAP_BYTES, position)
  if (length === 0) return NONE
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, position - length)
  return bytesRead === length ? buffer : NONE
}

// The log and its numbered backups, newest first.
async function chainOf(path: string): Promise<Link[]> {
  const name = basename(path)
  const entries = await readdir(dirname(path)).catch(absentAs([]))
  const numbers = entries.map(entry => numberIn(name, entry)).filter(number => number >= 0)
  const links = numbers.sort((a, b) => a - b).map(async number => ({ number, id: await idOf(numbered(path, number)) }))
  return (await Promise.all(links)).filter((link): link is Link => link.id !== null)
}

function numbered(path: string, number: number): string {
  return number === 0 ? path : `${path}.${number}`
}

function numberIn(name: string, entry: string): number {
  if (entry === name) return 0
  const number = entry.startsWith(`${name}.`) ? entry.slice(name.length + 1) : ''
  return /^[1-9]\d{0,5}$/.test(number) ? Number(number) : -1
}

async function idOf(path: string): Promise<string | null> {
  const found = await stat(path, { bigint: true }).catch(absentAs(null))
  return found === null ? null : `${found.dev}:${found.ino}`
}

async function idOfHandle(handle: FileHandle): Promise<string> {
  const { dev, ino } = await handle.stat({ bigint: true })
  return `${dev}:${ino}`
}

function absentAs<T>(value: T): (error: unknown) => T {
  return error => {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return value
    throw error
  }
}
