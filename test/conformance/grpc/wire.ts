// One HTTP/2 connection by hand, at either end: every frame that comes is seen as it is, and any frame can be sent.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { FLAG, type Frame, frame, headerBlock, TYPE, uint32 } from '../h2-frames.js'
import { type Origin, rawOrigin } from '../origins.js'
import { endLater } from '../start-proxy.js'
import { type Field, HpackReader } from './hpack-reader.js'

export const RST = { NO_ERROR: 0, PROTOCOL: 1, INTERNAL: 2, FLOW_CONTROL: 3, REFUSED: 7, CANCEL: 8, CALM: 11 } as const
export const SETTING = { HEADER_TABLE: 1, MAX_STREAMS: 3, INITIAL_WINDOW: 4, MAX_FRAME: 5, MAX_HEADER_LIST: 6 } as const

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const PADDED = 8
const PRIORITY = 0x20
const DEFAULT_WINDOW = 65_535
const FRAME_BYTES = 16_384
const WIDE_WINDOW = 2 ** 30

/** One stream as this end has seen it. */
export class WireStream {
  readonly wire: Wire
  readonly id: number
  /** The peer's first HEADERS that is no 1xx. */
  head: Field[] = []
  trailers: Field[] = []
  informational: string[] = []
  chunks: Buffer[] = []
  /** What came, in order, as words: HEADERS, DATA (several in a row once), +END on the last, RST(code). */
  shape = ''
  /** The peer's END_STREAM has come. */
  ended = false
  resetCode: number | null = null
  /** This end has sent END_STREAM or RST. */
  done = false
  /** Bytes of DATA, padding and its length included, that this end has sent. */
  sentBytes = 0
  readonly bornAtMs = performance.now()
  /** When the peer ended or reset it, or the connection went. */
  overAtMs = 0
  /** The peer ended or reset it, or the connection went. */
  readonly over: Promise<void>
  settle: () => void = () => {}
  credit: number
  /** Waits for the peer's windows, from `queueAt` on. */
  queue: { bytes: Buffer; cost: number; last: boolean }[] = []
  queueAt = 0

  constructor(wire: Wire, id: number, credit: number) {
    this.wire = wire
    this.id = id
    this.credit = credit
    this.over = new Promise(resolve => {
      this.settle = () => {
        if (this.overAtMs === 0) this.overAtMs = performance.now()
        resolve()
      }
    })
  }

  get body(): Buffer {
    return Buffer.concat(this.chunks)
  }

  /** The first value of a field of the head. */
  field(name: string): string | undefined {
    return this.head.find(([each]) => each === name)?.[1]
  }

  trailer(name: string): string | undefined {
    return this.trailers.find(([each]) => each === name)?.[1]
  }

  /** Wherever it stands: in the trailers, or in a head that ends the stream. */
  get grpcStatus(): string | undefined {
    return this.trailer('grpc-status') ?? this.field('grpc-status')
  }

  see(word: string): void {
    if (word === 'DATA' && this.shape.endsWith('DATA')) return
    this.shape += this.shape === '' ? word : ` ${word}`
  }
}

export interface WireEvents {
  /** The peer's head has come. */
  opened?(stream: WireStream): void
  data?(stream: WireStream, chunk: Buffer): void
  /** The peer's END_STREAM has come. */
  ended?(stream: WireStream): void
  reset?(stream: WireStream, code: number): void
  frame?(frame: Frame, wire: Wire): void
}

export interface WireOptions extends WireEvents {
  /** SETTINGS to announce. */
  settings?: [id: number, value: number][]
  /** `given`: windows of a gigabyte, which no test uses up.  `chatty`: the same, and two WINDOW_UPDATEs for every DATA frame.
   *  `withheld`: the peer has what SETTINGS gave it, and not a byte more. */
  credit?: 'given' | 'chatty' | 'withheld'
}

export class Wire {
  readonly socket: Socket
  readonly options: WireOptions
  readonly streams = new Map<number, WireStream>()
  readonly goaways: { lastId: number; code: number }[] = []
  /** PINGs of the peer that are no ACK. */
  pings = 0
  readonly peerSettings = new Map<number, number>()
  /** WINDOW_UPDATEs for the whole connection that the peer has sent, added up. */
  granted = 0
  closed = false
  private readonly reader = new HpackReader()
  private rest: Buffer = Buffer.alloc(0)
  private awaited: number
  private block: { id: number; flags: number; parts: Buffer[] } | null = null
  private credit = DEFAULT_WINDOW
  /** Streams whose DATA waits for a window. */
  private readonly waiting = new Set<WireStream>()
  private out: Buffer[] = []
  private nextId = 1
  private pongs: ((payload: Buffer) => void)[] = []

  constructor(socket: Socket, side: 'client' | 'server', options: WireOptions = {}) {
    this.socket = socket
    this.options = options
    this.awaited = side === 'server' ? PREFACE.length : 0
    socket.setNoDelay(true)
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => this.receive(chunk))
    // The peer's end of the connection is the end of it, as in every HTTP/2 stack.
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      this.closed = true
      for (const stream of this.streams.values()) stream.settle()
    })
    if (side === 'client') this.send(PREFACE)
    const wide: [number, number][] = options.credit === 'withheld' ? [] : [[SETTING.INITIAL_WINDOW, WIDE_WINDOW]]
    this.settings([...wide, ...(options.settings ?? [])])
    if (options.credit !== 'withheld') this.windowUpdate(0, WIDE_WINDOW)
  }

  /** The next stream, of which nothing is sent yet. */
  reserve(): WireStream {
    const stream = this.born(this.nextId)
    this.nextId += 2
    return stream
  }

  /** Opens a stream with these fields. */
  open(fields: Field[], end: 'end' | 'more'): WireStream {
    const stream = this.reserve()
    this.headers(stream.id, fields, end)
    return stream
  }

  settings(pairs: [id: number, value: number][]): void {
    const payload = Buffer.alloc(pairs.length * 6)
    for (const [at, [id, value]] of pairs.entries()) {
      payload.writeUInt16BE(id, at * 6)
      payload.writeUInt32BE(value, at * 6 + 2)
    }
    this.send(frame(TYPE.SETTINGS, 0, 0, payload))
  }

  /** HEADERS, cut into CONTINUATIONs where they are long; after DATA that waits for its window. */
  headers(id: number, fields: Field[], end: 'end' | 'more'): void {
    const block = headerBlock(fields)
    const frames: Buffer[] = []
    for (let at = 0; at === 0 || at < block.length; at += FRAME_BYTES) {
      const flags = (at + FRAME_BYTES >= block.length ? FLAG.END_HEADERS : 0) | (at === 0 && end === 'end' ? FLAG.END_STREAM : 0)
      frames.push(frame(at === 0 ? TYPE.HEADERS : TYPE.CONTINUATION, flags, id, block.subarray(at, at + FRAME_BYTES)))
    }
    this.enqueue(id, { bytes: Buffer.concat(frames), cost: 0, last: end === 'end' })
  }

  /** DATA, cut into frames, sent as the peer's windows allow.  padding: bytes of it in each frame. */
  data(id: number, payload: Buffer, end: 'end' | 'more' = 'more', padding?: number): void {
    for (let at = 0; at === 0 || at < payload.length; at += FRAME_BYTES) {
      const part = payload.subarray(at, at + FRAME_BYTES)
      const last = end === 'end' && at + FRAME_BYTES >= payload.length ? FLAG.END_STREAM : 0
      const body = padding === undefined ? part : Buffer.concat([Buffer.from([padding]), part, Buffer.alloc(padding)])
      const bytes = frame(TYPE.DATA, last | (padding === undefined ? 0 : PADDED), id, body)
      this.enqueue(id, { bytes, cost: body.length, last: last !== 0 })
    }
  }

  reset(id: number, code: number): void {
    const stream = this.streams.get(id)
    if (stream !== undefined) stream.done = true
    this.send(frame(TYPE.RST, 0, id, uint32(code)))
  }

  goaway(lastId: number, code: number): void {
    this.send(frame(TYPE.GOAWAY, 0, 0, Buffer.concat([uint32(lastId), uint32(code)])))
  }

  windowUpdate(id: number, bytes: number): void {
    this.send(frame(TYPE.WINDOW_UPDATE, 0, id, uint32(bytes)))
  }

  /** Resolves with the payload that came back. */
  ping(payload: Buffer = Buffer.alloc(8)): Promise<Buffer> {
    this.send(frame(TYPE.PING, 0, 0, payload))
    return new Promise(resolve => this.pongs.push(resolve))
  }

  /** All bytes of one turn go out in one write. */
  send(bytes: Buffer): void {
    if (this.out.length === 0) queueMicrotask(() => this.flush())
    this.out.push(bytes)
  }

  /** Everything that was sent goes out, then our direction ends; what the peer has on its way is still read, and the peer closes. */
  end(): void {
    this.flush()
    this.socket.end()
  }

  /** Everything that was sent goes out, then the connection ends.  Over bytes that nobody has read this is a reset, which can overtake what was sent. */
  close(): void {
    this.end()
    this.socket.destroySoon()
  }

  /** The connection is reset; what was sent goes out first. */
  kill(): void {
    this.flush()
    this.socket.resetAndDestroy()
  }

  /** Streams that neither end has reset and this end has not finished. */
  openCalls(): number {
    let count = 0
    for (const stream of this.streams.values()) if (!stream.done && stream.resetCode === null) count++
    return count
  }

  private flush(): void {
    if (this.out.length > 0 && !this.socket.destroyed) this.socket.write(Buffer.concat(this.out))
    this.out = []
  }

  private born(id: number): WireStream {
    const stream = new WireStream(this, id, this.peerSettings.get(SETTING.INITIAL_WINDOW) ?? DEFAULT_WINDOW)
    this.streams.set(id, stream)
    if (this.closed) stream.settle()
    return stream
  }

  private enqueue(id: number, part: WireStream['queue'][number]): void {
    const stream = this.streams.get(id) ?? this.born(id)
    stream.queue.push(part)
    this.pump(stream)
  }

  private pump(stream: WireStream): void {
    for (let next = stream.queue[stream.queueAt]; next !== undefined; next = stream.queue[stream.queueAt]) {
      if (next.cost > 0 && (next.cost > stream.credit || next.cost > this.credit)) {
        this.waiting.add(stream)
        return
      }
      stream.credit -= next.cost
      this.credit -= next.cost
      stream.queueAt++
      stream.sentBytes += next.cost
      stream.done ||= next.last
      this.send(next.bytes)
    }
    forget(stream)
    this.waiting.delete(stream)
  }

  private receive(chunk: Buffer): void {
    let bytes = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk])
    if (this.awaited > 0) {
      if (bytes.length < this.awaited) {
        this.rest = bytes
        return
      }
      if (!bytes.subarray(0, PREFACE.length).equals(PREFACE)) throw new Error(`no preface: ${bytes.subarray(0, 24).toString('latin1')}`)
      bytes = bytes.subarray(PREFACE.length)
      this.awaited = 0
    }
    let at = 0
    for (; bytes.length - at >= 9; ) {
      const end = at + 9 + bytes.readUIntBE(at, 3)
      if (bytes.length < end) break
      this.one({ type: bytes[at + 3]!, flags: bytes[at + 4]!, id: bytes.readUInt32BE(at + 5), payload: bytes.subarray(at + 9, end) })
      at = end
    }
    this.rest = bytes.subarray(at)
  }

  private one(got: Frame): void {
    this.options.frame?.(got, this)
    const isAck = (got.flags & FLAG.ACK) !== 0
    switch (got.type) {
      case TYPE.SETTINGS:
        if (!isAck) this.applied(got.payload)
        return
      case TYPE.PING:
        if (isAck) this.pongs.shift()?.(Buffer.from(got.payload))
        else {
          this.pings++
          this.send(frame(TYPE.PING, FLAG.ACK, 0, Buffer.from(got.payload)))
        }
        return
      case TYPE.GOAWAY:
        this.goaways.push({ lastId: got.payload.readUInt32BE(0), code: got.payload.readUInt32BE(4) })
        return
      case TYPE.WINDOW_UPDATE:
        this.replenished(got.id, got.payload.readUInt32BE(0))
        return
      case TYPE.RST:
        this.wasReset(got.id, got.payload.readUInt32BE(0))
        return
      case TYPE.DATA:
        this.gotData(got)
        return
      case TYPE.HEADERS:
        this.block = { id: got.id, flags: got.flags, parts: [withoutPadding(got)] }
        break
      case TYPE.CONTINUATION:
        this.block!.parts.push(got.payload)
        break
      default:
        return
    }
    if ((got.flags & FLAG.END_HEADERS) === 0) return
    const { id, flags, parts } = this.block!
    this.block = null
    this.gotHead(id, this.reader.read(Buffer.concat(parts)), (flags & FLAG.END_STREAM) !== 0)
  }

  private applied(payload: Buffer): void {
    const before = this.peerSettings.get(SETTING.INITIAL_WINDOW) ?? DEFAULT_WINDOW
    for (let at = 0; at < payload.length; at += 6) this.peerSettings.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2))
    this.send(frame(TYPE.SETTINGS, FLAG.ACK, 0))
    const change = (this.peerSettings.get(SETTING.INITIAL_WINDOW) ?? DEFAULT_WINDOW) - before
    for (const stream of this.streams.values()) {
      stream.credit += change
      this.pump(stream)
    }
  }

  private replenished(id: number, bytes: number): void {
    if (id === 0) {
      this.granted += bytes
      this.credit += bytes
      for (const stream of this.waiting) this.pump(stream)
      return
    }
    const stream = this.streams.get(id)
    if (stream === undefined) return
    stream.credit += bytes
    this.pump(stream)
  }

  private wasReset(id: number, code: number): void {
    const stream = this.streams.get(id)
    if (stream === undefined) return
    stream.see(`RST(${code})`)
    stream.resetCode ??= code
    forget(stream)
    this.waiting.delete(stream)
    stream.settle()
    this.options.reset?.(stream, code)
  }

  private gotHead(id: number, fields: Field[], last: boolean): void {
    const stream = this.streams.get(id) ?? this.born(id)
    const status = fields[0]?.[0] === ':status' ? fields[0][1] : ''
    if (status.startsWith('1')) {
      stream.informational.push(status)
      return
    }
    stream.see(last ? 'HEADERS+END' : 'HEADERS')
    if (stream.head.length === 0) {
      stream.head = fields
      this.options.opened?.(stream)
    } else stream.trailers = fields
    if (last) this.finished(stream)
  }

  private gotData(got: Frame): void {
    const stream = this.streams.get(got.id)
    if (stream === undefined) return
    const last = (got.flags & FLAG.END_STREAM) !== 0
    const chunk = withoutPadding(got)
    stream.see(last ? 'DATA+END' : 'DATA')
    stream.chunks.push(chunk)
    if (this.options.credit === 'chatty' && got.payload.length > 0) {
      this.windowUpdate(0, got.payload.length)
      if (!last) this.windowUpdate(got.id, got.payload.length)
    }
    this.options.data?.(stream, chunk)
    if (last) this.finished(stream)
  }

  private finished(stream: WireStream): void {
    stream.ended = true
    stream.settle()
    this.options.ended?.(stream)
  }
}

function forget(stream: WireStream): void {
  if (stream.queue.length > 0) stream.queue = []
  stream.queueAt = 0
}

function withoutPadding({ flags, payload, type }: Frame): Buffer {
  const padded = (flags & PADDED) !== 0
  const start = (padded ? 1 : 0) + (type === TYPE.HEADERS && (flags & PRIORITY) !== 0 ? 5 : 0)
  return payload.subarray(start, payload.length - (padded ? payload[0]! : 0))
}

/** A client's connection to 127.0.0.1. */
export async function openWire(port: number, options: WireOptions = {}): Promise<Wire> {
  const socket = connect(port, '127.0.0.1')
  await once(socket, 'connect')
  const wire = new Wire(socket, 'client', options)
  endLater(() => socket.destroy())
  return wire
}

export interface WireService extends Origin {
  /** Connections accepted, oldest first. */
  wires: Wire[]
  /** Streams of all connections, in the order of their heads. */
  calls: WireStream[]
}

/** A service of frames.  Events are looked up when they happen, so a test may change them on the way. */
export async function wireService(events: WireOptions): Promise<WireService> {
  const wires: Wire[] = []
  const calls: WireStream[] = []
  const options: WireOptions = {
    ...events,
    opened: stream => {
      calls.push(stream)
      events.opened?.(stream)
    },
    data: (stream, chunk) => events.data?.(stream, chunk),
    ended: stream => events.ended?.(stream),
    reset: (stream, code) => events.reset?.(stream, code),
    frame: (got, wire) => events.frame?.(got, wire),
  }
  const origin = await rawOrigin(socket => wires.push(new Wire(socket, 'server', options)))
  return Object.assign(origin, { wires, calls })
}
