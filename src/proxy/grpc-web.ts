// gRPC-Web to gRPC: a client stream that looks like a gRPC call to the exchange and like gRPC-Web to the browser.
import { type WebType, webAnswerFields, webTrailerFrame, webType } from '../core/grpc-web.js'
import { type Fields, fieldValue } from '../core/headers.js'
import { translates } from './admission.js'
import { Base64Reader, Base64Writer } from './base64.js'
import type { NeverIndexed } from './http2/hpack/never-indexed.js'
import type { ClientEvents, ClientStream, RequestHead } from './stream.js'
import type { Traffic } from './traffic.js'

const NOTHING = Buffer.alloc(0)

/** The stream as the exchange is to see it: translated, where it is a gRPC-Web call and its route wants that. */
export function translated(client: ClientStream, traffic: Traffic): ClientStream {
  const { head } = client
  const type = head.method === 'POST' ? webType(fieldValue(head.fields, 'content-type')) : null
  return type !== null && translates(head, traffic) ? new GrpcWebStream(client, type) : client
}

class GrpcWebStream implements ClientStream, ClientEvents {
  readonly head: RequestHead
  events: ClientEvents | null = null
  private readonly inner: ClientStream
  private readonly type: WebType
  private readonly reader: Base64Reader | null
  private readonly writer: Base64Writer | null
  /** Bytes as the client and as the exchange count them: what one side takes is told to the other in its own bytes. */
  private readonly request = { wire: 0, granted: 0, plain: 0, taken: 0 }
  private readonly answer = { wire: 0, drained: 0, plain: 0, told: 0 }

  constructor(inner: ClientStream, type: WebType) {
    this.inner = inner
    this.type = type
    this.reader = type.form === 'binary' ? null : new Base64Reader()
    this.writer = type.form === 'binary' ? null : new Base64Writer()
    this.head = grpcHead(inner.head, type.grpc)
    inner.events = this
  }

  requestData(chunk: Buffer, start: number, end: number): void {
    const plain = this.reader === null ? chunk.subarray(start, end) : this.reader.read(chunk, start, end)
    if (plain === null) {
      this.refuse()
      return
    }
    this.request.wire += end - start
    this.request.plain += plain.length
    if (plain.length > 0) this.events?.requestData(plain, 0, plain.length)
    else this.grant(0)
  }

  requestEnd(): void {
    if (this.reader === null || this.reader.isComplete) this.events?.requestEnd([])
    else this.refuse()
  }

  requestFault(code: 'REQUEST_TOO_SLOW' | 'REQUEST_MALFORMED', message: string): void {
    this.events?.requestFault(code, message)
  }

  answerDrained(bytes: number): void {
    const { answer } = this
    answer.drained += bytes
    // All has left: all of it.  Else in proportion, so that base64's third more neither starves nor floods the service.
    const told = answer.drained >= answer.wire ? answer.plain : Math.min(answer.plain, Math.floor((answer.drained * 3) / 4))
    const news = told - answer.told
    if (news <= 0) return
    answer.told = told
    this.events?.answerDrained(news)
  }

  answerSent(): void {
    this.events?.answerSent()
  }

  clientGone(why: 'reset' | 'closed' | 'malformed' | 'stalled'): void {
    this.events?.clientGone(why)
  }

  keepNeverIndexed(names: NeverIndexed): void {
    this.inner.keepNeverIndexed(names)
  }

  /** Browsers know none. */
  sendInformational(): void {}

  sendHead(status: number, fields: Fields, end: 'now' | 'later'): void {
    const out: Fields = []
    for (let at = 0; at < fields.length; at += 2) {
      const name = fields[at]!
      if (name !== 'trailer') out.push(name, name === 'content-type' ? this.type.answer : fields[at + 1]!)
    }
    // A service that speaks of origins itself knows better.
    const isTold = fieldValue(fields, 'access-control-allow-origin') !== undefined
    this.inner.sendHead(status, isTold ? out : [...out, ...webAnswerFields(this.inner.head.fields, out)], end)
  }

  sendData(chunk: Buffer, start: number, end: number): void {
    this.answer.plain += end - start
    this.send(chunk, start, end)
  }

  sendEnd(trailers: Fields): void {
    const frame = Buffer.from(webTrailerFrame(trailers).buffer)
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

  /** What came is not base64. */
  private refuse(): void {
    this.events?.requestFault('REQUEST_MALFORMED', 'the body is not base64')
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
