// One HTTP/1.1 client connection: requests one after the other, each with its answer before the next is read.
//
//   HEAD ─► BODY ─► WAITING ─► HEAD …      the request's body, then its answer
//     │      └─ answer complete first: the rest is dropped (bounded), then HEAD
//     └─► GONE                              the wire is gone, or another owner has it: ServerTunnel after 101, Lingering after the last answer
//
// A keep-alive GET through both halves and a relay of 60 lines: 24-26 µs CPU, 2.5 of them in this folder; nginx 16-19 (wrk -c64, same rounds, /proc).
// WAITING: bytes beyond the request are kept, and reading stops when they are many; until then reading shows whether the client is still there.
import type { Fields } from '../../core/headers.js'
import type { ServerOptions } from '../server-options.js'
import type { Wire, WireOwner } from '../wire.js'
import { BodyDecoder, IN_CHUNKS } from './body-decoder.js'
import { EarlyBytes } from './early-bytes.js'
import { RequestParser } from './head-parser.js'
import { Lingering } from './lingering.js'
import { ReadCredit } from './read-credit.js'
import { refuseHead } from './refusal.js'
import { type Limited, ServerLimits } from './server-limits.js'
import { type AnswerCarrier, Http1ClientStream } from './server-stream.js'
import { ServerTunnel } from './server-tunnel.js'

const HEAD = 0
const BODY = 1
const WAITING = 2
const GONE = 3

/** Beyond the request that is being answered. */
const EARLY_BYTES = 64 * 1024
/** Of a body that nobody wants any more: less is read to its end so that the connection can be kept, more closes it. */
const DROP_BYTES = 256 * 1024

export class Http1ServerConnection implements WireOwner, AnswerCarrier, Limited {
  private readonly wire: Wire
  private readonly options: ServerOptions
  private readonly limits: ServerLimits
  private readonly credit: ReadCredit
  private readonly parser: RequestParser
  private readonly body: BodyDecoder
  private readonly early = new EarlyBytes()
  private phase = HEAD
  private stream: Http1ClientStream | null = null
  private requests = 0
  /** Expect: 100-continue has neither been answered with 100 nor overtaken by the body. */
  awaitsContinue = false
  private isReading = false
  private isLast = false
  private clientEnded = false

  constructor(wire: Wire, options: ServerOptions) {
    const { settings } = options
    this.wire = wire
    this.options = options
    this.limits = new ServerLimits(this, wire, settings)
    this.credit = new ReadCredit(wire)
    this.parser = new RequestParser(settings)
    this.body = new BodyDecoder(settings)
    this.limits.head()
  }

  /** Every answer from now on ends the connection; without a request it closes after a while. */
  drain(): void {
    this.isLast = true
    if (this.phase === HEAD && !this.parser.hasBegun) this.limits.drain()
  }

  destroy(): void {
    this.wire.destroy()
  }

  received(chunk: Buffer, start: number, end: number): void {
    this.isReading = true
    for (let at = start; at < end; ) {
      switch (this.phase) {
        case HEAD:
          at = this.readHead(chunk, at, end)
          break
        case BODY:
          at = this.readBody(chunk, at, end)
          break
        case WAITING:
          at = this.keep(chunk, at, end)
          break
        default:
          // Whoever has the wire now.
          if (this.wire.owner !== this) this.wire.owner?.received(chunk, at, end)
          at = end
      }
    }
    this.isReading = false
  }

  ended(): void {
    this.clientEnded = true
    if (this.phase === HEAD) this.close()
    else if (this.phase === BODY) this.lose('closed')
    // Nobody waits on a half-closed connection for an upgrade.
    else if (this.phase === WAITING && this.stream!.head.upgrade !== null) this.lose('closed')
    else if (this.phase === WAITING) this.limits.halfClosed(this.stream!)
  }

  writable(): void {
    this.limits.sent()
    this.stream?.writable()
  }

  closed(error: Error | null): void {
    const events = this.stream?.abandon()
    this.leave()
    events?.clientGone(error === null ? 'closed' : 'reset')
    this.options.closed()
  }

  /** Decides at an answer's head whether it is the last. */
  closesAfter(): boolean {
    const { maxRequestsPerConnection } = this.options.settings
    if (this.isLast || this.awaitsContinue || this.parser.isLast || this.options.isDraining()) return true
    if (maxRequestsPerConnection > 0 && this.requests >= maxRequestsPerConnection) return true
    return this.clientEnded && this.early.length === 0
  }

  held(): void {
    this.limits.send()
  }

  granted(bytes: number): void {
    const { credit } = this
    credit.ahead -= bytes
    if (this.phase !== BODY || !credit.isPaused || credit.isSpent) return
    credit.resume()
    this.limits.body()
  }

  /** 101 is written. */
  switched(stream: Http1ClientStream): ServerTunnel {
    const { wire, options, credit, early } = this
    this.stream = null
    this.phase = GONE
    this.limits.stop()
    return new ServerTunnel({ wire, stream, options, credit, early })
  }

  answered(stream: Http1ClientStream): void {
    if (this.stream !== stream) return
    this.stream = null
    this.limits.sent()
    if (stream.closes) this.close()
    else if (this.phase === WAITING) this.next()
    else {
      this.credit.ahead = 0
      this.credit.resume()
      this.limits.drop()
    }
  }

  reset(): void {
    this.leave()
    this.wire.reset()
  }

  private readHead(chunk: Buffer, at: number, end: number): number {
    const { parser, limits } = this
    const isFirst = !parser.hasBegun
    const outcome = parser.read(chunk, at, end)
    if (outcome === 'more') {
      if (isFirst) limits.head()
      return end
    }
    limits.request()
    if (outcome === 'sound') this.begin()
    else this.refuse()
    return parser.at
  }

  /** A sound head is complete. */
  private begin(): void {
    const { parser, options, limits } = this
    const { contentLength, upgrade } = parser
    const stream = new Http1ClientStream(this, this.wire, parser.head(options.scheme, this.wire.remoteAddress))
    this.stream = stream
    this.requests++
    this.credit.ahead = 0
    this.awaitsContinue = parser.lines.expectContinue && parser.minor === 1 && contentLength !== 0
    if (contentLength === 0) {
      this.phase = WAITING
      options.serve(stream)
      if (upgrade === null) stream.events?.requestEnd([])
    } else {
      this.phase = BODY
      this.body.begin(contentLength > 0 ? contentLength : IN_CHUNKS)
      limits.body()
      options.serve(stream)
    }
  }

  /** The exchange is over: the next request, which may be here already. */
  private next(): void {
    this.phase = HEAD
    if (this.isLast || this.options.isDraining()) this.limits.drain()
    else this.limits.idle()
    if (this.isReading) return
    this.credit.resume()
    const early = this.early.take()
    if (early.length > 0) this.received(early, 0, early.length)
    if (this.clientEnded) this.ended()
  }

  private readBody(chunk: Buffer, at: number, end: number): number {
    const { body } = this
    const outcome = body.step(chunk, at, end)
    if (outcome === 'data') this.deliver(chunk, body.dataStart, body.dataEnd)
    else if (outcome === 'bad') this.bodyBroken(body.fault)
    else this.limits.bodyMoved()
    if (body.isOver && this.phase === BODY) this.endBody(body.trailers)
    return body.at
  }

  /** What comes is no body, and nothing behind it can be found any more. */
  private bodyBroken(fault: string): void {
    this.phase = WAITING
    this.limits.bodyRests()
    if (this.stream !== null) this.stream.closes = true
    this.bodyFault('REQUEST_MALFORMED', fault)
  }

  private deliver(chunk: Buffer, start: number, end: number): void {
    const { stream, credit } = this
    credit.ahead += end - start
    this.awaitsContinue = false
    this.limits.bodyMoved()
    if (stream === null) {
      if (credit.ahead > DROP_BYTES) this.close()
      return
    }
    stream.events?.requestData(chunk, start, end)
    if (!credit.isSpent || this.stream !== stream) return
    credit.pause()
    this.limits.bodyRests()
  }

  private endBody(trailers: Fields): void {
    this.phase = WAITING
    this.limits.bodyRests()
    this.credit.resume()
    if (this.stream === null) this.next()
    else this.stream.events?.requestEnd(trailers)
  }

  private keep(chunk: Buffer, start: number, end: number): number {
    this.early.append(chunk, start, end)
    if (this.early.length > EARLY_BYTES) this.credit.pause()
    return end
  }

  /** Answers what never became a request with an error of ours, which ends the connection. */
  private refuse(): void {
    refuseHead(this.wire, this.parser, this.options)
    this.close()
  }

  /** Ends our direction behind what has been sent. */
  private close(): void {
    this.leave()
    this.credit.resume()
    new Lingering(this.wire, this.options)
  }

  /** The exchange cannot go on.  A reset: nobody may take a begun answer for a complete one. */
  lose(why: 'closed' | 'stalled'): void {
    const events = this.stream?.abandon()
    this.reset()
    events?.clientGone(why)
  }

  private leave(): void {
    this.phase = GONE
    this.stream = null
    this.early.clear()
    this.parser.clear()
    this.limits.stop()
  }

  headExpired(): void {
    if (!this.parser.hasBegun) this.close()
    else {
      this.parser.giveUp(408, 'the head of the request was not complete in time')
      this.refuse()
    }
  }

  bodyExpired(): void {
    this.bodyFault('REQUEST_TOO_SLOW', 'the body of the request stood still')
    if (this.stream?.hasBegun === false) this.limits.body()
  }

  private bodyFault(code: 'REQUEST_TOO_SLOW' | 'REQUEST_MALFORMED', message: string): void {
    this.isLast = true
    if (this.stream === null) this.close()
    else this.stream.events?.requestFault(code, message)
  }
}
