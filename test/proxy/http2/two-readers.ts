// One client's session as two servers understand it: our ServerConnection, and nghttp2 inside node:http2.  Neither answers.
import http2 from 'node:http2'
import { Duplex } from 'node:stream'
import { trailerFields } from '../../../src/core/headers.js'
import { ServerConnection } from '../../../src/proxy/http2/server-connection.js'
import type { ClientStream } from '../../../src/proxy/stream.js'
import { WINDOW_BYTES } from '../../../src/proxy/stream.js'
import { Wire } from '../../../src/proxy/wire.js'
import { PLAIN_PROXY } from '../../core/fixture-proxy.js'
import { FLAG, PREFACE, TYPE } from './raw-peer.js'
import { ServedStream } from './recorder.js'
import { Sink } from './sink.js'

/** A request as one of them has it. */
export interface TakenRequest {
  method: string
  target: string
  authority: string
  fields: string[]
  body: string
  /** Null until the request has ended; those that may not go on are left out. */
  trailers: string[] | null
  /** Reset by either end. */
  isGone: boolean
}

export interface OurReading {
  /** By stream. */
  requests: Map<number, TakenRequest>
  /** Streams that we have refused or reset. */
  refused: Set<number>
  /** How many frames were read before the one that ended the connection, or all. */
  frames: number
  /** Frames that ended a stream before its time: what came before them had been passed on by then. */
  ends: number[]
  /** Frames that we answered with RST_STREAM. */
  faults: Set<number>
  /** Trailers that came with fields which frame, route or authenticate: these do not go on. */
  stripped: Set<number>
}

/** The preface, then one frame each, whatever is in it. */
export function framesOf(session: Buffer): Buffer[] {
  const frames = [session.subarray(0, PREFACE.length)]
  for (let at = PREFACE.length; at < session.length; ) {
    const end = session.length - at < 3 ? session.length : at + 9 + session.readUIntBE(at, 3)
    frames.push(session.subarray(at, end))
    at = end
  }
  return frames
}

/** The frames of a session up to a client's GOAWAY, without those that node:http2, not nghttp2, ends a session for although no rule asks for it:
 *  an ACK to nothing.  They belong to no message.  A frame that is cut off at the end is left out, too: what it would become is not known. */
export function comparable(session: Buffer): Buffer[] {
  let acknowledged = 0
  const frames: Buffer[] = []
  for (const one of framesOf(session)) {
    const isWhole = one.length >= 9 && one.length === 9 + one.readUIntBE(0, 3)
    if (frames.length > 0 && (!isWhole || one[3] === TYPE.GOAWAY)) break
    const isAck = isWhole && (one[4]! & FLAG.ACK) !== 0
    if (isAck && (one[3] === TYPE.PING || (one[3] === TYPE.SETTINGS && acknowledged++ > 0))) continue
    frames.push(one)
  }
  return frames
}

export function readByUs(frames: Buffer[]): OurReading {
  const sink = new Sink()
  const wire = Wire.over(sink, 'c')
  const served = new Map<number, ServedStream>()
  const serve = (stream: ClientStream & { id: number }) => served.set(stream.id, new ServedStream(stream))
  const options = { settings: PLAIN_PROXY, scheme: 'http', serve, refused: () => {}, isDraining: () => false, closed: () => {} }
  const connection = new ServerConnection(wire, options as never)
  wire.owner = connection
  const reading: OurReading = { requests: new Map(), refused: new Set(), frames: 0, ends: [], faults: new Set(), stripped: new Set() }
  let goneBefore = 0
  for (const bytes of frames) {
    // As a read buffer: what is used after the call is no longer there.
    const chunk = Buffer.from(bytes)
    connection.received(chunk, 0, chunk.length)
    chunk.fill(0xaa)
    wire.flush()
    if (resetsIn(sink, reading.refused)) reading.faults.add(reading.frames)
    let gone = 0
    for (const one of served.values()) if (isGone(one)) gone++
    if (gone > goneBefore || bytes[3] === TYPE.RST) reading.ends.push(reading.frames)
    goneBefore = gone
    if ((connection as unknown as { isOver: boolean }).isOver) break
    reading.frames++
  }
  for (const [id, one] of served) {
    reading.requests.set(id, taken(one))
    if (one.trailers !== null && trailerFields(one.trailers).length < one.trailers.length) reading.stripped.add(id)
  }
  connection.closed(null)
  wire.destroy()
  return reading
}

/** Takes what was written: the streams that were reset or answered.  Was one reset? */
function resetsIn(sink: Sink, refused: Set<number>): boolean {
  let isReset = false
  for (const written of framesOf(Buffer.concat([PREFACE, ...sink.chunks.splice(0)])).slice(1)) {
    if (written[3] !== TYPE.RST && written[3] !== TYPE.HEADERS) continue
    refused.add(written.readUInt32BE(5))
    isReset ||= written[3] === TYPE.RST
  }
  return isReset
}

function isGone(one: ServedStream): boolean {
  return one.seen.some(word => word !== 'end')
}

function taken(one: ServedStream): TakenRequest {
  const { head } = one.stream
  return {
    method: head.upgrade === null ? head.method : 'CONNECT websocket',
    target: head.target,
    authority: head.authority,
    fields: head.fields,
    body: one.body.toString('latin1'),
    trailers: one.trailers === null ? (head.bodyless ? [] : null) : trailerFields(one.trailers),
    isGone: isGone(one),
  }
}

export interface TheirReading {
  requests: Map<number, TakenRequest>
  /** Why the connection was ended; '' where it was not. */
  problem: string
}

const SETTINGS = {
  enableConnectProtocol: true,
  initialWindowSize: WINDOW_BYTES,
  maxConcurrentStreams: PLAIN_PROXY.maxStreams,
  maxHeaderListSize: PLAIN_PROXY.maxHeaderBytes,
}

// The types know neither it nor what comes behind the flags of 'stream'.
interface Session extends Omit<http2.ServerHttp2Session, 'on'> {
  on(event: 'error', heard: (error: Error) => void): void
  on(event: 'stream', heard: (stream: http2.ServerHttp2Stream, headers: object, flags: number, raw: string[]) => void): void
}
const handshake = (http2 as unknown as { performServerHandshake(socket: Duplex, options: object): Session }).performServerHandshake

/** frames: what nghttp2 gets; before those in `ends` it is given the time to pass on what came. */
export async function readByNghttp2(frames: Buffer[], ends: number[]): Promise<TheirReading> {
  const reading: TheirReading = { requests: new Map(), problem: '' }
  const written: Buffer[] = []
  const socket = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      written.push(chunk)
      done()
    },
  })
  socket.on('error', () => {})
  const session = handshake(socket, { settings: SETTINGS, maxHeaderListPairs: 10_000, maxSettings: 4096 })
  session.setLocalWindowSize(1 << 20)
  session.on('error', error => {
    reading.problem ||= error.message
  })
  session.on('stream', (stream, _headers, _flags, raw) => take(reading, stream, raw))
  let from = 0
  for (const end of [...ends.filter(one => one > 0 && one < frames.length), frames.length]) {
    if (end === from) continue
    socket.push(Buffer.concat(frames.slice(from, end)))
    from = end
    await settled(reading, written)
  }
  reading.problem ||= goawayText(written) || (session.destroyed ? 'the session has ended' : '')
  // What the end of the session does to its streams is not part of the reading.
  const seen = { problem: reading.problem, requests: new Map([...reading.requests].map(([id, one]) => [id, { ...one }])) }
  session.destroy()
  socket.destroy()
  return seen
}

/** The frame at which nghttp2 ends the connection. */
export async function endedAt(frames: Buffer[]): Promise<number> {
  let low = 1
  let high = frames.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    const { problem } = await readByNghttp2(frames.slice(0, middle + 1), [])
    if (problem === '') low = middle + 1
    else high = middle
  }
  return low
}

/** Its events come over several turns: until two turns in a row have brought nothing. */
async function settled(reading: TheirReading, written: Buffer[]): Promise<void> {
  let last = ''
  for (let quiet = 0; quiet < 2; ) {
    await new Promise(resolve => setImmediate(resolve))
    let now = `${reading.problem} ${written.length}`
    for (const one of reading.requests.values()) now += ` ${one.body.length}${one.trailers === null}${one.isGone}`
    quiet = now === last ? quiet + 1 : 0
    last = now
  }
}

function take(reading: TheirReading, stream: http2.ServerHttp2Stream, raw: string[]): void {
  const request = theirRequest(raw)
  let trailers: string[] = []
  reading.requests.set(stream.id!, request)
  stream.on('data', (chunk: Buffer) => {
    request.body += chunk.toString('latin1')
  })
  stream.on('trailers', (_headers: unknown, _flags: unknown, fields: unknown) => {
    trailers = fields as string[]
  })
  stream.on('end', () => {
    if (!request.isGone) request.trailers = trailerFields(trailers)
  })
  stream.on('aborted', () => {
    request.isGone = true
  })
  stream.on('error', () => {
    request.isGone = true
  })
}

function theirRequest(raw: string[]): TakenRequest {
  const request: TakenRequest = { method: '', target: '', authority: '', fields: [], body: '', trailers: null, isGone: false }
  let protocol = ''
  let host = ''
  for (let at = 0; at < raw.length; at += 2) {
    const value = raw[at + 1]!
    switch (raw[at]) {
      case ':method':
        request.method = value
        break
      case ':path':
        request.target = value
        break
      case ':authority':
        request.authority = value
        break
      case ':protocol':
        protocol = ` ${value}`
        break
      case ':scheme':
        break
      case 'host':
        host = value
        break
      default:
        request.fields.push(raw[at]!, value)
    }
  }
  request.method += protocol
  request.authority ||= host
  // A CONNECT without :protocol has no path: its target is whom to connect to.
  if (request.method === 'CONNECT') request.target = request.authority
  return request
}

/** The words of the GOAWAY that it wrote, if it did with an error. */
function goawayText(written: Buffer[]): string {
  for (const one of framesOf(Buffer.concat([PREFACE, ...written])).slice(1)) {
    if (one[3] === TYPE.GOAWAY && one.length >= 17 && one.readUInt32BE(13) !== 0)
      return `GOAWAY ${one.readUInt32BE(13)} ${one.subarray(17)}`
  }
  return ''
}
