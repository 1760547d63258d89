// A byte connection under a codec: reads are handed on as they come, output gathers and is written once per turn of the event loop.
//
// Costs per turn and connection: one call per read, one system call per write.  An output buffer is used again as soon as its write is complete,
// which it mostly is at once.  An idle connection holds no buffer.
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { EndpointAddress } from '../core/spec.js'
import type { Carried, Carrier } from './carrier.js'
import { DuplexCarrier } from './duplex-carrier.js'
import { SocketCarrier } from './socket-carrier.js'
import { atEndOfTurn } from './sockets.js'

/** Beyond this a connection that does not take its bytes is blocked: codecs queue per stream, where credit bounds them. */
const HIGH_BYTES = 256 * 1024
const BUFFER_BYTES = 16 * 1024
const MAX_SPARE = 64
// Output in bulk leaves once it is about what a read brings, while it is in the CPU's cache, from buffers that are used again:
// 1 MiB answers over HTTP/2: 500-690 MB per CPU second with buffers that grow until the end of the turn, 950-1240 with these (1200-1600 with reads of 128 KiB).
const FLUSH_BYTES = 64 * 1024
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
const spares: Buffer[] = []
const largeSpares: Buffer[] = []
const touched: Wire[] = []
let isFlushPlanned = false

export class Wire implements Carried {
  /** Set right after construction, before the first event can come. */
  owner: WireOwner | null = null
  /** Output that has been gathered: codecs write at buffer[length] after `ensure` and advance `length`, then `touch`. */
  buffer: Buffer = NOTHING
  length = 0
  /** How often the buffer has been handed over: an offset into it holds until this changes. */
  flushes = 0
  /** Of the peer; a PROXY header says it anew. */
  remoteAddress: string
  private carrier: Carrier | null = null
  /** Node's, until it is connected; there is no carrier then. */
  private connecting: Socket | null = null
  private isTouched = false
  private isPaused = false
  private blocked = false
  private ending = false
  private gone = false

  private constructor(remoteAddress: string) {
    this.remoteAddress = remoteAddress
  }

  /** A connection that was accepted with `pauseOnConnect`; nothing has been read from it. */
  static accepted(socket: Socket, address = socket.remoteAddress ?? 'unknown'): Wire {
    const wire = new Wire(address)
    wire.carry(socket)
    return wire
  }

  /** Any other duplex, TLS for one. */
  static over(duplex: Duplex, remoteAddress: string): Wire {
    const wire = new Wire(remoteAddress)
    wire.carrier = new DuplexCarrier(duplex, wire)
    return wire
  }

  /** A connection to a service.  `connected` comes once unless it is closed first; what is written before is sent then. */
  static open(address: EndpointAddress, connected: () => void): Wire {
    const wire = new Wire('')
    wire.carrier = SocketCarrier.connect(address, wire, connected)
    if (wire.carrier === null) wire.connectByNode(address, connected)
    return wire
  }

  private connectByNode(address: EndpointAddress, connected: () => void): void {
    const target = 'socket' in address ? { path: address.socket } : { host: address.host, port: address.port }
    const socket = connect({ ...target, noDelay: true, allowHalfOpen: true })
    this.connecting = socket
    let failure: Error | null = null
    const closed = () => this.closed(failure)
    socket.on('error', error => {
      failure ??= error
    })
    socket.on('close', closed)
    socket.once('connect', () => {
      socket.off('close', closed)
      this.carry(socket)
      connected()
    })
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
      if (!isFlushPlanned) atEndOfTurn(flushAll)
      isFlushPlanned = true
    }
  }

  /** True while the peer does not take what it has been sent: write control frames only, and wait for `writable`. */
  get isBlocked(): boolean {
    return this.blocked
  }

  /** Output that the kernel has not taken yet, in bytes. */
  get pendingBytes(): number {
    return this.length + (this.carrier?.pendingBytes ?? 0)
  }

  get isGone(): boolean {
    return this.gone || this.ending
  }

  flushTouched(): void {
    this.isTouched = false
    this.flush()
  }

  flush(): void {
    const { length, carrier } = this
    if (length === 0 || carrier === null) return
    if (this.gone || this.ending) {
      this.length = 0
      return
    }
    this.flushes++
    // Behind bytes that wait already these will, too: a large buffer is not left with the socket for a part of it.
    if (this.buffer.length >= LARGE_BYTES && carrier.pendingBytes > 0) this.shrink()
    if (carrier.write(this.buffer, length)) spare(this.buffer)
    else if (carrier.pendingBytes > HIGH_BYTES) this.blocked = true
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
    this.carrier?.pause()
  }

  resumeReading(): void {
    this.isPaused = false
    this.carrier?.resume()
  }

  /** Sends what is left, then ends our direction; the peer may go on. */
  end(): void {
    if (this.ending || this.gone) return
    this.flush()
    this.ending = true
    this.carrier?.end()
  }

  /** Gone at once; what has not been sent is lost. */
  destroy(): void {
    this.carrier?.destroy()
    this.connecting?.destroy()
  }

  /** Like destroy, but the peer sees a reset: it cannot take what it has for complete. */
  reset(): void {
    this.carrier?.reset()
    this.connecting?.destroy()
  }

  data(chunk: Buffer, start: number, end: number): void {
    this.owner?.received(chunk, start, end)
  }

  peerEnded(): void {
    this.owner?.ended()
  }

  drained(): void {
    if (!this.blocked) return
    this.blocked = false
    this.owner?.writable()
  }

  closed(error: Error | null): void {
    this.gone = true
    spare(this.buffer)
    this.buffer = NOTHING
    this.length = 0
    this.owner?.closed(error)
  }

  /** The socket is connected: reading begins, and what was written meanwhile goes out. */
  private carry(socket: Socket): void {
    this.connecting = null
    this.carrier = SocketCarrier.take(socket, this) ?? new DuplexCarrier(socket, this)
    if (!this.isPaused) this.carrier.resume()
    if (!this.ending) {
      this.flush()
      return
    }
    this.ending = false
    this.end()
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
