// gRPC-Web to gRPC: a client stream that looks like a gRPC call to the exchange and like gRPC-Web to the browser.
// Source: grpc/grpc doc/PROTOCOL-WEB.md: trailers travel as a last frame of the body (flag 0x80), the text form is base64 of the whole.
import { type Fields, fieldValue } from '../core/headers.js'
import { Base64Reader, Base64Writer } from './base64.js'
import type { ClientEvents, ClientStream, RequestHead } from './stream.js'

const CONTENT_TYPE = /^application\/grpc-web(-text)?(\+[a-z0-9.+-]+)?(?:$|;)/i
const TRAILER_FLAG = 0x80
// RST_STREAM's PROTOCOL_ERROR.
const PROTOCOL_ERROR = 1

export function isGrpcWeb(head: RequestHead): boolean {
  return head.method === 'POST' && CONTENT_TYPE.test(fieldValue(head.fields, 'content-type') ?? '')
}

export class GrpcWebStream implements ClientStream, ClientEvents {
  readonly head: RequestHead
  events: ClientEvents | null = null
  private readonly inner: ClientStream
  /** What the answer's content type says instead of application/grpc. */
  private readonly type: string
  private readonly origin: string | undefined
  private readonly reader: Base64Reader | null
  private readonly writer: Base64Writer | null
  /** Bytes as the client and as the exchange count them: what one side takes is told to the other in its own bytes. */
  private readonly request = { wire: 0, granted: 0, plain: 0, taken: 0 }
  private readonly answer = { wire: 0, drained: 0, plain: 0, told: 0 }

  constructor(inner: ClientStream) {
    const [, text = '', format = ''] = CONTENT_TYPE.exec(fieldValue(inner.head.fields, 'content-type')!)!
    this.inner = inner
    this.type = `application/grpc-web${text}${format}`
    this.origin = fieldValue(inner.head.fields, 'origin')
    this.reader = text === '' ? null : new Base64Reader()
    this.writer = text === '' ? null : new Base64Writer()
    this.head = grpcHead(inner.head, `application/grpc${format}`)
    inner.events = this
  }

  requestData(chunk: Buffer, start: number, end: number): void {
    const plain = this.reader === null ? chunk.subarray(start, end) : this.reader.read(chunk, start, end)
    if (plain === null) {
      this.events?.clientGone('malformed')
      this.inner.sendReset(PROTOCOL_ERROR)
      return
    }
    this.request.wire += end - start
    this.request.plain += plain.length
    if (plain.length > 0) this.events?.requestData(plain, 0, plain.length)
    else this.grant(0)
  }

  requestEnd(): void {
    if (this.reader !== null && !this.reader.isComplete) {
      this.events?.clientGone('malformed')
      this.inner.sendReset(PROTOCOL_ERROR)
      return
    }
    this.events?.requestEnd([])
  }

  answerDrained(bytes: number): void {
    const { answer } = this
    answer.drained += bytes
    // Everything has left: all of it.  Else in proportion, so that base64's third more neither starves nor floods the service.
    const told = answer.drained >= answer.wire ? answer.plain : Math.floor((answer.drained * 3) / 4)
    const news = Math.min(told, answer.plain) - answer.told
    if (news <= 0) return
    answer.told += news
    this.events?.answerDrained(news)
  }

  answerSent(): void {
    this.events?.answerSent()
  }

  clientGone(why: 'reset' | 'closed' | 'malformed' | 'stalled'): void {
    this.events?.clientGone(why)
  }

  sendInformational(): void {}

  sendHead(status: number, fields: Fields, end: 'now' | 'later'): void {
    const out: Fields = []
    for (let at = 0; at < fields.length; at += 2) {
      const name = fields[at]!
      if (name === 'trailer') continue
      out.push(name, name === 'content-type' ? this.type : fields[at + 1]!)
    }
    this.inner.sendHead(status, [...out, ...corsFields(this.origin, out)], end)
  }

  sendData(chunk: Buffer, start: number, end: number): void {
    this.answer.plain += end - start
    this.send(chunk, start, end)
  }

  sendEnd(trailers: Fields): void {
    const frame = trailerFrame(trailers)
    this.send(frame, 0, frame.length)
    const rest = this.writer?.rest() ?? NOTHING
    if (rest.length > 0) this.inner.sendData(rest, 0, rest.length)
    this.inner.sendEnd([])
  }

  sendReset(code: number): void {
    this.inner.sendReset(code)
  }

  grant(bytes: number): void {
    const { request } = this
    request.taken += bytes
    const may = request.taken >= request.plain ? request.wire : Math.min(request.wire, Math.ceil((request.taken * 4) / 3))
    const news = may - request.granted
    if (news <= 0) return
    request.granted = may
    this.inner.grant(news)
  }

  private send(chunk: Buffer, start: number, end: number): void {
    if (this.writer === null) {
      this.answer.wire += end - start
      this.inner.sendData(chunk, start, end)
      return
    }
    const text = this.writer.write(chunk, start, end)
    this.answer.wire += text.length
    if (text.length > 0) this.inner.sendData(text, 0, text.length)
  }
}

const NOTHING = Buffer.alloc(0)

/** The head as a gRPC client over HTTP/2 would have sent it: the answer may have trailers, errors are gRPC's. */
function grpcHead(head: RequestHead, type: string): RequestHead {
  const fields: Fields = []
  for (let at = 0; at < head.fields.length; at += 2) {
    const name = head.fields[at]!
    if (name !== 'content-type' && name !== 'content-length' && name !== 'te') fields.push(name, head.fields[at + 1]!)
  }
  fields.push('content-type', type, 'te', 'trailers')
  return { ...head, protocol: 'h2c', contentLength: -1, fields }
}

function trailerFrame(trailers: Fields): Buffer {
  let text = ''
  for (let at = 0; at < trailers.length; at += 2) text += `${trailers[at]}: ${trailers[at + 1]}\r\n`
  const frame = Buffer.alloc(5 + text.length)
  frame[0] = TRAILER_FLAG
  frame.writeUInt32BE(text.length, 1)
  frame.write(text, 5, 'latin1')
  return frame
}

/** A page of another origin may read the answer and the two fields that a trailers-only answer carries, unless the service has said what it may. */
function corsFields(origin: string | undefined, fields: Fields): Fields {
  if (origin === undefined || fieldValue(fields, 'access-control-allow-origin') !== undefined) return []
  return ['access-control-allow-origin', origin, 'access-control-expose-headers', 'grpc-status,grpc-message', 'vary', 'Origin']
}

/** The answer to a browser's question before a gRPC-Web call; null where it is another question. */
export function preflightFields(head: RequestHead): Fields | null {
  if (head.method !== 'OPTIONS' || fieldValue(head.fields, 'access-control-request-method') !== 'POST') return null
  const wanted = fieldValue(head.fields, 'access-control-request-headers') ?? ''
  const origin = fieldValue(head.fields, 'origin')
  if (origin === undefined || !/\b(?:x-grpc-web|x-user-agent|grpc-timeout)\b/i.test(wanted)) return null
  return [
    'access-control-allow-origin',
    origin,
    'access-control-allow-methods',
    'POST',
    'access-control-allow-headers',
    wanted,
    'access-control-max-age',
    '86400',
    'vary',
    'Origin',
    'content-length',
    '0',
  ]
}
