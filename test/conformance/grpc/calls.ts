// gRPC in frames: what a raw client asks and a raw service answers, for every test of this folder.
import { message } from '../h2-frames.js'
import type { Field } from './hpack-reader.js'
import type { Wire, WireStream } from './wire.js'

/** The head of a gRPC request. */
export function grpcRequest(path: string, more: Field[] = []): Field[] {
  return [
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', path],
    [':authority', 'suite.test'],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ...more,
  ]
}

export const GRPC_HEAD: Field[] = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
]

/** One unary call from its head to its end. */
export async function rawCall(wire: Wire, path: string, { more = [], body = message('hello') }: { more?: Field[]; body?: Buffer } = {}) {
  const stream = wire.open(grpcRequest(path, more), 'more')
  wire.data(stream.id, body, 'end')
  await isOver(stream)
  return stream
}

// Below the timeouts of the routes, which would else be what ends a call.
const LIMIT_MS = 8000

/** Resolves when the stream is over; fails when that takes too long. */
export async function isOver(stream: WireStream): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`stream ${stream.id} is not over after ${LIMIT_MS} ms: ${stream.shape}`)), LIMIT_MS)
  })
  await Promise.race([stream.over, late]).finally(() => clearTimeout(timer))
}

/** The head of an answer and one message. */
export function begin({ wire, id }: WireStream, body = 'part'): void {
  wire.headers(id, GRPC_HEAD, 'more')
  wire.data(id, message(body))
}

/** A whole successful answer. */
export function answer(stream: WireStream, body = 'fine', trailers: Field[] = []): void {
  begin(stream, body)
  stream.wire.headers(stream.id, [['grpc-status', '0'], ...trailers], 'end')
}

/** An answer of a single HEADERS frame. */
export function trailersOnly({ wire, id }: WireStream, status: number, more: Field[] = []): void {
  wire.headers(id, [...GRPC_HEAD, ['grpc-status', String(status)], ...more], 'end')
}

/** What has been sent has been read by the peer: a PING came back. */
export async function afterRead(wire: Wire, then: () => void): Promise<void> {
  await wire.ping()
  then()
}

/** The messages of a body: flag and bytes.  Throws where the body ends inside of one. */
export function messagesOf(body: Buffer): { flag: number; bytes: Buffer }[] {
  const out: { flag: number; bytes: Buffer }[] = []
  for (let at = 0; at < body.length; ) {
    const end = at + 5 + (at + 5 <= body.length ? body.readUInt32BE(at + 1) : Number.POSITIVE_INFINITY)
    if (end > body.length) throw new Error(`the body ends inside a message: ${body.length} of ${end} bytes`)
    out.push({ flag: body[at]!, bytes: body.subarray(at + 5, end) })
    at = end
  }
  return out
}
