// A byte connection under a codec: reads into one shared buffer, gathers output, and writes it once per turn of the event loop.
//
// Costs per turn and connection: one read callback, one socket.write.  Reading into one shared buffer (`onread`) saves the allocation and the
// stream machinery of every 'data' event; an output buffer is used again as soon as its write is complete, which it mostly is at once.
// An idle connection holds no buffer.
import { connect, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { EndpointAddress } from '../core/spec.js'

/** Beyond this a connection that does not take its bytes is blocked: codecs queue per stream, where credit bounds them. */
const HIGH_BYTES = 256 * 1024
const READ_BYTES = 64 * 1024
const BUFFER_BYTES = 16 * 1024
const MAX_SPARE = 64
// Output in bulk leaves once it is about what a read brings, while it is in the CPU's cache, from buffers that are used again:
// 1 MiB answers over HTTP/2: 500-690 MB per CPU second with buffers that grow until the end of the turn, 950-1240 with these (1200-1600 with reads of 128 KiB).
const FLUSH_BYTES = READ_BYTES
const LARGE_BYTES = 96 * 1024
const MAX_LARGE_SPARE = 4

/** The codec of a connection. */
export interface WireOwner {
  /** Bytes came; they are valid during the call only. */
  received(chunk: Buffer, start: number, end: number): void
  /** The peer has ended its direction. */
  ended(): void
  /** The connection is gone; the last event.  error: why, null where it was closed in order. */
  closed(error: Error | null): void
  /** Output has room again after `isBlocked`. */
  writable(): void
}

const NOTHING = Buffer.alloc(0)
// One for all: a read callback is done with it when it returns.
const shared = Buffer.allocUnsafeSlow(READ_BYTES)
const spares: Buffer[] = []
const largeSpares: Buffer[] = []
const touched: Wire[] = []
let isFlushPlanned = false

export class Wire {
  /** Set right after construction, before the first event can come. */
  owner: WireOwner | null = null
  /** Output that has been gathered: codecs write at buffer[length] after `ensure` and advance `length`, then `touch`. */
  buffer: Buffer = NOTHING
  length = 0
  /** How often the buffer has been handed over: an offset into it holds until this changes. */
  flushes = 0
  /** Of the peer; a PROXY header says it anew. */
  remoteAddress: string
  private readonly socket: Duplex
  private isTouched = false
  private isPaused = false
  private blocked = false
  private ending = false
  private gone = false
  private error: Error | null = null

  private constructor(socket: Duplex, remoteAddress: string) {
    this.socket = socket
    this.remoteAddress = remoteAddress
    socket.on('end', () => this.owner?.ended())
    socket.on('error', error => {
      this.error ??= error
    })
    socket.on('close', () => this.close())
    socket.on('drain', () => this.unblock())
  }

  /** A connection that was accepted with `pauseOnConnect`; nothing has been read from it. */
  static accepted(socket: Socket, address = socket.remoteAddress ?? 'unknown'): Wire {
    const adopted = adopt(socket, size => wire.read(size))
    const wire: Wire = new Wire(adopted ?? socket, address)
    if (adopted === null) wire.readByEvents()
    return wire
  }

  /** Any other duplex, TLS for one. */
  static over(socket: Duplex, remoteAddress: string): Wire {
    const wire = new Wire(socket, remoteAddress)
    wire.readByEvents()
    return wire
  }

  /** A connection to a service.  `connected` comes once unless it is closed first; what is written before is sent then. */
  static open(address: EndpointAddress, connected: () => void): Wire {
    const target = 'socket' in address ? { path: address.socket } : { host: address.host, port: address.port }
    const onread = { buffer: shared, callback: (size: number) => wire.read(size) }
    const socket = connect({ ...target, noDelay: true, allowHalfOpen: true, onread })
    const wire: Wire = new Wire(socket, '')
    socket.once('connect', connected)
    return wire
  }

  /** Makes room for so many bytes behind `length`.  May replace `buffer`. */
  ensure(bytes: number): void {
    const wanted = this.length + bytes
    if (wanted <= this.buffer.length) return
    const larger = bufferFor(wanted)
    this.buffer.copy(larger, 0, 0, this.length)
    spare(this.buffer)
    this.buffer = larger
  }

  /** Appends bytes; they are copied. */
  append(chunk: Buffer, start: number, end: number): void {
    this.ensure(end - start)
    chunk.copy(this.buffer, this.length, start, end)
    this.length += end - start
  }

  /** What has been gathered goes out at the end of this turn, or at once where it has become much. */
  touch(): void {
    if (this.length > FLUSH_BYTES) {
      this.flush()
    } else if (!this.isTouched) {
      this.isTouched = true
      touched.push(this)
      if (!isFlushPlanned) setImmediate(flushAll)
      isFlushPlanned = true
    }
  }

  /** True while the peer does not take what it has been sent: write control frames only, and wait for `writable`. */
  get isBlocked(): boolean {
    return this.blocked
  }

  /** Output that the kernel has not taken yet, in bytes. */
  get pendingBytes(): number {
    return this.length + this.socket.writableLength
  }

  get isGone(): boolean {
    return this.gone || this.ending
  }

  flushTouched(): void {
    this.isTouched = false
    this.flush()
  }

  flush(): void {
    const { length, socket } = this
    if (length === 0) return
    if (this.gone || this.ending) {
      this.length = 0
      return
    }
    this.flushes++
    // Behind bytes that wait already these will, too: a large buffer is not left with the socket for a part of it.
    if (this.buffer.length >= LARGE_BYTES && socket.writableLength > 0) this.shrink()
    socket.write(length === this.buffer.length ? this.buffer : this.buffer.subarray(0, length))
    // Complete at once: the buffer is ours again.  Else it belongs to the socket until it has been sent.
    if (socket.writableLength === 0) spare(this.buffer)
    else if (socket.writableLength > HIGH_BYTES) this.blocked = true
    this.buffer = NOTHING
    this.length = 0
  }

  private shrink(): void {
    const exact = Buffer.allocUnsafeSlow(this.length)
    this.buffer.copy(exact, 0, 0, this.length)
    spare(this.buffer)
    this.buffer = exact
  }

  pauseReading(): void {
    this.isPaused = true
    this.socket.pause()
  }

  resumeReading(): void {
    this.isPaused = false
    this.socket.resume()
  }

  /** Sends what is left, then ends our direction; the peer may go on. */
  end(): void {
    if (this.ending || this.gone) return
    this.flush()
    this.ending = true
    this.socket.end()
  }

  /** Gone at once; what has not been sent is lost. */
  destroy(): void {
    this.socket.destroy()
  }

  /** Like destroy, but the peer sees a reset: it cannot take what it has for complete. */
  reset(): void {
    if (this.socket instanceof Socket) this.socket.resetAndDestroy()
    else this.socket.destroy()
  }

  /** libuv reads a busy socket up to 32 times before it looks at another one: 2 MiB of one client's.  After a full read the others come first.
   *  Returns whether to read on. */
  private read(bytes: number): boolean {
    this.owner?.received(shared, 0, bytes)
    if (bytes < READ_BYTES) return true
    setImmediate(() => {
      if (!this.isPaused && !this.gone) this.socket.resume()
    })
    return false
  }

  private readByEvents(): void {
    this.socket.on('data', (chunk: Buffer) => this.owner?.received(chunk, 0, chunk.length))
  }

  private unblock(): void {
    if (!this.blocked) return
    this.blocked = false
    this.owner?.writable()
  }

  private close(): void {
    this.gone = true
    spare(this.buffer)
    this.buffer = NOTHING
    this.length = 0
    this.owner?.closed(this.error)
  }
}

function flushAll(): void {
  isFlushPlanned = false
  // A write can touch nothing further: what its errors cause comes in a later turn.
  for (const wire of touched) wire.flushTouched()
  touched.length = 0
}

function bufferFor(bytes: number): Buffer {
  if (bytes <= BUFFER_BYTES) return spares.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES)
  if (bytes <= LARGE_BYTES) return largeSpares.pop() ?? Buffer.allocUnsafeSlow(LARGE_BYTES)
  return Buffer.allocUnsafeSlow(bytes + BUFFER_BYTES)
}

function spare(buffer: Buffer): void {
  if (buffer.length === BUFFER_BYTES && spares.length < MAX_SPARE) spares.push(buffer)
  else if (buffer.length === LARGE_BYTES && largeSpares.length < MAX_LARGE_SPARE) largeSpares.push(buffer)
}

interface Handle {
  useUserBuffer?: unknown
}

/** Node gives `onread` to outgoing connections only; a second Socket on the accepted connection's handle can have it too.
 *  Returns null where this Node has no such handle: then 'data' events do. */
function adopt(socket: Socket, callback: (bytes: number) => boolean): Socket | null {
  const inner = socket as unknown as { _handle: Handle | null; _server: unknown }
  const handle = inner._handle
  if (typeof handle?.useUserBuffer !== 'function') return null
  inner._handle = null
  const adopted = new Socket({ handle, allowHalfOpen: true, onread: { buffer: shared, callback } } as never)
  // The server counts its connections by this.
  ;(adopted as unknown as { _server: unknown })._server = inner._server
  inner._server = null
  return adopted
}
