// A place in a log that moves on through rotations and truncations, without a gap and without a repeat.
import { constants, type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
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
const NONE = Buffer.alloc(0)

interface Link {
  path: string
  /** 0 is the log itself, 1 the newest backup. */
  index: number
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
  private position = 0
  private overlap: Buffer = NONE
  private first = true

  /** path: absolute.  fromEnd: where to begin in a log that is there already; one that comes later is read whole. */
  constructor(path: string, fromEnd: { bytes: number; align: 'byte' | 'line' }) {
    this.path = path
    this.fromEnd = fromEnd
  }

  async read(): Promise<Piece | null> {
    if (!this.handle && !(await this.begin())) return null
    const piece = await this.readOn()
    if (piece) return piece
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
    const isFirst = this.first
    this.first = false
    if (!handle) return false
    try {
      const { dev, ino, size } = await handle.stat({ bigint: true })
      this.id = `${dev}:${ino}`
      this.position = isFirst ? await placeFromEnd(handle, Number(size), this.fromEnd) : 0
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

  // Names move while we look, so a successor counts only if the directory says the same before and after it was opened.
  // A file we hold keeps its inode number from being used again, which makes that comparison sound.
  private async goOn(): Promise<Piece | null> {
    for (let attempt = 0; attempt < CHAIN_TRIES; attempt++) {
      const before = await chainOf(this.path)
      const ours = before.findIndex(link => link.id === this.id)
      const next = ours < 0 ? before.at(-1) : before[ours - 1]
      if (!next) return null
      const isNeighbour = ours >= 0 && next.index === before[ours]!.index - 1
      if (ours >= 0 && !isNeighbour && attempt < TRIES_FOR_NEIGHBOUR) continue
      const handle = await openLog(next.path)
      if (!handle) continue
      const { dev, ino } = await handle.stat({ bigint: true })
      const after = await chainOf(this.path)
      if (`${dev}:${ino}` !== next.id || !sameChain(before, after)) {
        await handle.close()
        continue
      }
      await this.handle!.close()
      this.handle = handle
      this.id = next.id
      this.position = 0
      this.overlap = NONE
      return isNeighbour ? this.readOn() : { kind: 'gap', text: ROTATED_AWAY }
    }
    return null
  }
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
  const indexes = entries.map(entry => indexIn(name, entry)).filter(index => index >= 0)
  const links = await Promise.all(indexes.sort((a, b) => a - b).map(index => linkAt(path, index)))
  return links.filter(link => link !== null)
}

async function linkAt(path: string, index: number): Promise<Link | null> {
  const numbered = index === 0 ? path : join(dirname(path), `${basename(path)}.${index}`)
  const id = await idOf(numbered)
  return id === null ? null : { path: numbered, index, id }
}

function indexIn(name: string, entry: string): number {
  if (entry === name) return 0
  const number = entry.startsWith(`${name}.`) ? entry.slice(name.length + 1) : ''
  return /^[1-9]\d{0,5}$/.test(number) ? Number(number) : -1
}

function sameChain(a: Link[], b: Link[]): boolean {
  return a.length === b.length && a.every((link, place) => link.index === b[place]!.index && link.id === b[place]!.id)
}

async function idOf(path: string): Promise<string | null> {
  const found = await stat(path, { bigint: true }).catch(absentAs(null))
  return found === null ? null : `${found.dev}:${found.ino}`
}

function absentAs<T>(value: T): (error: unknown) => T {
  return error => {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return value
    throw error
  }
}
