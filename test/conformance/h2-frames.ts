// HTTP/2 by hand: a service made of frames, for what no library would ever send.
import type { Socket } from 'node:net'
import { type Origin, rawOrigin } from './origins.js'

export const TYPE = { DATA: 0, HEADERS: 1, RST: 3, SETTINGS: 4, PING: 6, GOAWAY: 7, WINDOW_UPDATE: 8, CONTINUATION: 9 } as const
export const FLAG = { END_STREAM: 1, ACK: 1, END_HEADERS: 4 } as const

export interface Frame {
  type: number
  flags: number
  id: number
  payload: Buffer
}

export function frame(type: number, flags: number, id: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(id, 5)
  return Buffer.concat([head, payload])
}

/** A header block of literals without indexing and without Huffman: any decoder reads it, no state changes. */
export function headerBlock(fields: [string, string][]): Buffer {
  const parts: Buffer[] = []
  for (const [name, value] of fields) parts.push(Buffer.from([0]), text(name), text(value))
  return Buffer.concat(parts)
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1')
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes])
  const length = [127]
  let rest = bytes.length - 127
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128)
  return Buffer.concat([Buffer.from([...length, rest]), bytes])
}

export function uint32(value: number): Buffer {
  const out = Buffer.alloc(4)
  out.writeUInt32BE(value)
  return out
}

/** One gRPC message, uncompressed. */
export function message(body: string): Buffer {
  return Buffer.concat([Buffer.from([0]), uint32(body.length), Buffer.from(body, 'latin1')])
}

/** One connection of the service. */
export class FrameSocket {
  readonly frames: Frame[] = []
  readonly socket: Socket
  /** 1-based number of the connection. */
  readonly number: number

  constructor(socket: Socket, number: number) {
    this.socket = socket
    this.number = number
  }

  headers(id: number, fields: [string, string][], end: 'end' | 'more'): void {
    this.socket.write(frame(TYPE.HEADERS, FLAG.END_HEADERS | (end === 'end' ? FLAG.END_STREAM : 0), id, headerBlock(fields)))
  }

  /** The head of a gRPC answer. */
  grpcHead(id: number): void {
    this.headers(
      id,
      [
        [':status', '200'],
        ['content-type', 'application/grpc'],
      ],
      'more',
    )
  }

  data(id: number, payload: Buffer): void {
    this.socket.write(frame(TYPE.DATA, 0, id, payload))
  }

  /** A whole successful unary answer. */
  ok(id: number, body: string): void {
    this.grpcHead(id)
    this.data(id, message(body))
    this.headers(id, [['grpc-status', '0']], 'end')
  }

  reset(id: number, code: number): void {
    this.socket.write(frame(TYPE.RST, 0, id, uint32(code)))
  }

  goaway(lastId: number, code: number): void {
    this.socket.write(frame(TYPE.GOAWAY, 0, 0, Buffer.concat([uint32(lastId), uint32(code)])))
  }
}

/** A service of frames: `request` is called when a stream has been opened, `ended` when its request is complete. */
export async function frameOrigin(events: {
  request?(connection: FrameSocket, id: number): void
  ended?(connection: FrameSocket, id: number): void
  frame?(connection: FrameSocket, frame: Frame): void
  settings?: Buffer
}): Promise<Origin> {
  let count = 0
  return rawOrigin(socket => {
    const connection = new FrameSocket(socket, ++count)
    socket.write(frame(TYPE.SETTINGS, 0, 0, events.settings))
    let rest: Buffer = Buffer.alloc(0)
    let preface = PREFACE_BYTES
    socket.on('data', chunk => {
      rest = Buffer.concat([rest, chunk])
      if (preface > 0 && rest.length >= preface) {
        rest = rest.subarray(preface)
        preface = 0
      }
      if (preface > 0) return
      for (;;) {
        if (rest.length < 9) return
        const length = rest.readUIntBE(0, 3)
        if (rest.length < 9 + length) return
        const one: Frame = { type: rest[3]!, flags: rest[4]!, id: rest.readUInt32BE(5), payload: rest.subarray(9, 9 + length) }
        rest = rest.subarray(9 + length)
        connection.frames.push(one)
        events.frame?.(connection, one)
        if (one.type === TYPE.SETTINGS && (one.flags & FLAG.ACK) === 0) socket.write(frame(TYPE.SETTINGS, FLAG.ACK, 0))
        if (one.type === TYPE.PING && (one.flags & FLAG.ACK) === 0) socket.write(frame(TYPE.PING, FLAG.ACK, 0, one.payload))
        if (one.type === TYPE.HEADERS) events.request?.(connection, one.id)
        const carries = one.type === TYPE.HEADERS || one.type === TYPE.DATA
        if (carries && (one.flags & FLAG.END_STREAM) !== 0) events.ended?.(connection, one.id)
      }
    })
  })
}

const PREFACE_BYTES = 24
