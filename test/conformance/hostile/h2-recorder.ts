// The recording service in HTTP/2: raw frames in, decoded just enough to tell what each stream asked for and how it ended.
import type { Socket } from 'node:net'
import { HpackReader } from '../grpc/hpack-reader.js'
import { FLAG, type Frame, frame, headerBlock, TYPE, uint32 } from '../h2-frames.js'
import { rawOrigin } from '../origins.js'
import { FrameReader } from './h2-client.js'
import type { Heard, Recorder } from './recorder.js'

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

export interface HeardStream {
  connection: Http2Recording
  id: number
  heard: Heard
  isComplete: boolean
  /** Code of the RST_STREAM that ended it; null: none came. */
  resetCode: number | null
}

export interface Http2Recorder extends Recorder {
  /** Every stream since the last `forget`, in order of opening. */
  readonly streams: HeardStream[]
}

export interface Http2RecorderOptions {
  /** Called for every complete request; default: 200 with the target as its body. */
  answer?(stream: HeardStream): void
  /** Called when a stream has been opened. */
  opened?(stream: HeardStream): void
  settings?: Buffer
}

/** One connection to the recorder. */
export class Http2Recording {
  readonly socket: Socket
  readonly open = new Map<number, HeardStream>()
  private readonly decoder = new HpackReader()
  private readonly reader = new FrameReader()
  private readonly options: Http2RecorderOptions
  private readonly streams: HeardStream[]
  private readonly completed: (stream: HeardStream) => void
  private preface: Buffer = Buffer.alloc(0)
  private isSpeaking = false
  private block: Buffer = Buffer.alloc(0)
  private blockOpens: Frame | null = null

  constructor(socket: Socket, streams: HeardStream[], options: Http2RecorderOptions, completed: (stream: HeardStream) => void) {
    this.socket = socket
    this.streams = streams
    this.options = options
    this.completed = completed
    socket.setNoDelay(true)
    socket.write(frame(TYPE.SETTINGS, 0, 0, options.settings))
    socket.on('data', (chunk: Buffer) => this.received(chunk))
  }

  /** A whole answer. */
  respond(id: number, fields: [string, string][], body: string): void {
    const end = body === '' ? FLAG.END_STREAM : 0
    this.socket.write(frame(TYPE.HEADERS, FLAG.END_HEADERS | end, id, headerBlock(fields)))
    if (body !== '') this.socket.write(frame(TYPE.DATA, FLAG.END_STREAM, id, Buffer.from(body, 'latin1')))
  }

  private received(chunk: Buffer): void {
    if (this.isSpeaking) {
      this.read(chunk)
      return
    }
    this.preface = Buffer.concat([this.preface, chunk])
    if (this.preface.length < PREFACE.length) return
    if (this.preface.toString('latin1', 0, PREFACE.length) !== PREFACE) {
      this.socket.destroy()
      return
    }
    this.isSpeaking = true
    this.read(this.preface.subarray(PREFACE.length))
  }

  private read(chunk: Buffer): void {
    for (const one of this.reader.push(chunk)) this.frame(one)
  }

  private frame(one: Frame): void {
    const { socket } = this
    switch (one.type) {
      case TYPE.SETTINGS:
        if ((one.flags & FLAG.ACK) === 0) socket.write(frame(TYPE.SETTINGS, FLAG.ACK, 0))
        return
      case TYPE.PING:
        if ((one.flags & FLAG.ACK) === 0) socket.write(frame(TYPE.PING, FLAG.ACK, 0, one.payload))
        return
      case TYPE.HEADERS:
        this.blockOpens = one
        this.block = unpadded(one)
        if ((one.flags & FLAG.END_HEADERS) !== 0) this.fields()
        return
      case TYPE.CONTINUATION:
        this.block = Buffer.concat([this.block, one.payload])
        if ((one.flags & FLAG.END_HEADERS) !== 0) this.fields()
        return
      case TYPE.DATA:
        this.data(one)
        return
      case TYPE.RST:
        this.ended(one)
        return
    }
  }

  private fields(): void {
    const { id, flags } = this.blockOpens!
    const list = this.decoder.read(this.block)
    const earlier = this.open.get(id)
    const lines = list.map(([name, value]) => `${name}: ${value}`)
    if (earlier !== undefined) earlier.heard.trailers.push(...lines)
    const stream = earlier ?? this.begin(id, list, lines)
    if ((flags & FLAG.END_STREAM) !== 0) this.complete(stream)
  }

  private begin(id: number, list: [string, string][], fields: string[]): HeardStream {
    const pseudo = (name: string) => list.find(([each]) => each === name)?.[1] ?? ''
    const heard: Heard = { method: pseudo(':method'), target: pseudo(':path'), fields, framing: 'frames', body: '', trailers: [] }
    const stream: HeardStream = { connection: this, id, heard, isComplete: false, resetCode: null }
    this.open.set(id, stream)
    this.streams.push(stream)
    this.options.opened?.(stream)
    return stream
  }

  private data(one: Frame): void {
    const stream = this.open.get(one.id)
    if (one.payload.length > 0) {
      const credit = uint32(one.payload.length)
      this.socket.write(Buffer.concat([frame(TYPE.WINDOW_UPDATE, 0, 0, credit), frame(TYPE.WINDOW_UPDATE, 0, one.id, credit)]))
    }
    if (stream === undefined) return
    stream.heard.body += unpadded(one).toString('latin1')
    if ((one.flags & FLAG.END_STREAM) !== 0) this.complete(stream)
  }

  private complete(stream: HeardStream): void {
    stream.isComplete = true
    this.completed(stream)
    if (this.options.answer !== undefined) this.options.answer(stream)
    else {
      const { method, target } = stream.heard
      this.respond(
        stream.id,
        [
          [':status', '200'],
          ['content-length', String(target.length)],
        ],
        method === 'HEAD' ? '' : target,
      )
    }
    this.open.delete(stream.id)
  }

  private ended(one: Frame): void {
    const stream = this.open.get(one.id) ?? this.streams.find(each => each.connection === this && each.id === one.id)
    if (stream !== undefined) stream.resetCode = one.payload.readUInt32BE(0)
    this.open.delete(one.id)
  }
}

/** HTTP/2 without TLS. */
export async function recordHttp2(options: Http2RecorderOptions = {}): Promise<Http2Recorder> {
  const heard: Heard[] = []
  const streams: HeardStream[] = []
  const origin = await rawOrigin(socket => {
    const recording = new Http2Recording(socket, streams, options, stream => heard.push(stream.heard))
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      for (const stream of recording.open.values()) stream.resetCode ??= -1
    })
  })
  return {
    ...origin,
    heard,
    streams,
    begun: () => streams.length,
    stray: () =>
      streams
        .filter(stream => !stream.isComplete)
        .map(({ heard: { method, target, fields, body }, resetCode }) => ({
          bytes: `${method} ${target}\r\n${fields.join('\r\n')}\r\n\r\n${body}`,
          gone: resetCode !== null,
        })),
    forget: () => {
      heard.length = 0
      streams.length = 0
    },
  }
}

const PADDED = 8
const PRIORITY = 32

/** The payload of DATA or HEADERS without padding and priority. */
function unpadded({ type, flags, payload }: Frame): Buffer {
  const padding = (flags & PADDED) === 0 ? 0 : payload[0]!
  const begin = ((flags & PADDED) === 0 ? 0 : 1) + (type === TYPE.HEADERS && (flags & PRIORITY) !== 0 ? 5 : 0)
  return payload.subarray(begin, payload.length - padding)
}
