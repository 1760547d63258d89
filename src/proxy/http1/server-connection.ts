// One HTTP/1.1 client connection: requests one after the other, each with its answer before the next is read.
//
//   HEAD ─► LENGTH | CHUNKED ─► WAITING ─► HEAD …        the request's body, then its answer
//     │            └─ answer complete first: the rest is dropped (bounded), then HEAD
//     ├─► TUNNEL                                          after 101, bytes both ways
//     └─► CLOSING ─► GONE                                 our end is sent; what still comes is dropped, so that the answer is not lost to a reset
//
// WAITING: bytes beyond the request are kept, and reading stops when they are many.  At every moment at most one limit of each kind is armed:
// clock (head, idle, grace, lingering), body (the request stands still), send (the answer is not taken).
import type { Fields } from '../../core/headers.js'
import { Delay, type Expiring } from '../delays.js'
import type { ServerOptions } from '../server-options.js'
import { type RequestHead, WINDOW_BYTES } from '../stream.js'
import type { Wire, WireOwner } from '../wire.js'
import { ChunkedDecoder } from './chunked.js'
import { headEnd, type RefusedStatus, RequestParser } from './head-parser.js'
import { PartialHead } from './partial-head.js'
import { writeRefusal } from './refusal.js'
import { Http1ClientStream } from './server-stream.js'

const HEAD = 0
const LENGTH = 1
const CHUNKED = 2
const WAITING = 3
const TUNNEL = 4
const CLOSING = 5
const GONE = 6

/** One read more may come after reading was paused. */
const PAUSE_BYTES = WINDOW_BYTES - 64 * 1024
/** Beyond the request that is being answered: pipelined requests, or what a client sends before its 101. */
const EARLY_BYTES = 64 * 1024
/** Of a body that nobody wants any more: less is read to its end so that the connection can be kept, more closes it. */
const DROP_BYTES = 256 * 1024
const DROP_MS = 1000
const LINGER_MS = 1000
/** While draining, a connection without a request: one may be on its way. */
const DRAIN_GRACE_MS = 1000
/** A client that has ended its direction and to which nothing could be sent for so long has left. */
const HALF_CLOSED_MS = 1000

const NOTHING = Buffer.alloc(0)

export class Http1ServerConnection implements WireOwner, Expiring {
  private readonly wire: Wire
  private readonly options: ServerOptions
  private readonly parser: RequestParser
  private readonly chunked: ChunkedDecoder
  private readonly partial: PartialHead
  private readonly clock = new Delay(this)
  private readonly bodyLimit = new Delay(this)
  private readonly sendLimit = new Delay(this)
  private phase = HEAD
  private stream: Http1ClientStream | null = null
  private requests = 0
  /** Of a LENGTH body. */
  private left = 0
  /** Of the body, delivered and not granted; while it is dropped, dropped. */
  private ahead = 0
  /** Expect: 100-continue has neither been answered with 100 nor overtaken by the body. */
  private awaitsContinue = false
  private early: Buffer = NOTHING
  private earlyLength = 0
  private isPaused = false
  private isReading = false
  private isDraining = false
  private clientEnded = false
  /** Progress when a limit was last looked at. */
  private seen = 0

  constructor(wire: Wire, options: ServerOptions) {
    this.wire = wire
    this.options = options
    this.parser = new RequestParser(options.settings)
    this.chunked = new ChunkedDecoder(options.settings)
    this.partial = new PartialHead(options.settings.maxHeaderBytes, 'head')
    this.clock.start(options.settings.headerTimeoutMs)
  }

  /** Every answer from now on ends the connection; without a request it closes after a while. */
  drain(): void {
    this.isDraining = true
    if (this.phase === HEAD && this.partial.isEmpty) this.clock.start(DRAIN_GRACE_MS)
  }

  destroy(): void {
    this.wire.destroy()
  }

  received(chunk: Buffer, start: number, end: number): void {
    const isNested = this.isReading
    this.isReading = true
    let at = start
    while (at < end) {
      switch (this.phase) {
        case HEAD:
          at = this.readHead(chunk, at, end)
          break
        case LENGTH:
          at = this.readLength(chunk, at, end)
          break
        case CHUNKED:
          at = this.readChunked(chunk, at, end)
          break
        case WAITING:
          at = this.keep(chunk, at, end)
          break
        case TUNNEL:
          at = this.earlyLength > 0 ? this.keep(chunk, at, end) : this.deliver(chunk, at, end)
          break
        default:
          at = this.linger(at, end)
      }
    }
    this.isReading = isNested
  }

  ended(): void {
    this.clientEnded = true
    switch (this.phase) {
      case HEAD:
        if (!this.isReading && this.earlyLength === 0) this.close()
        break
      case LENGTH:
      case CHUNKED:
        this.lose('closed')
        break
      case WAITING:
        // Nobody waits on a half-closed connection for an upgrade.
        if (this.stream!.head.upgrade !== null) this.lose('closed')
        else this.watchHalfClosed()
        break
      case TUNNEL:
        if (this.earlyLength === 0) this.endTunnelRequest()
        break
    }
  }

  writable(): void {
    this.sendLimit.stop()
    this.stream?.writable()
  }

  closed(error: Error | null): void {
    const events = this.stream?.abandon()
    this.leave()
    events?.clientGone(error === null ? 'closed' : 'reset')
    this.options.closed()
  }

  expired(delay: Delay): void {
    if (delay === this.sendLimit) this.sendExpired()
    else if (delay === this.bodyLimit) this.bodyExpired()
    else if (this.phase === CLOSING) this.lingerExpired()
    else if (this.phase !== HEAD) this.halfClosedExpired()
    else if (this.partial.isEmpty) this.close()
    else this.refuse(408, 'the head of the request was not complete in time')
  }

  // What the stream asks of its connection.

  /** Decides at an answer's head whether it is the last. */
  closesAfter(stream: Http1ClientStream): boolean {
    const { settings } = this.options
    const { lines, minor } = this.parser
    if (this.isDraining || this.awaitsContinue || this.options.isDraining()) return true
    if (stream.head.upgrade !== null || stream.head.method === 'CONNECT') return true
    if (settings.maxRequestsPerConnection > 0 && this.requests >= settings.maxRequestsPerConnection) return true
    if (this.clientEnded && this.earlyLength === 0) return true
    return lines.close || (minor === 0 && !lines.keepAlive)
  }

  continued(): void {
    this.awaitsContinue = false
  }

  /** Some of the answer waits for the client. */
  held(): void {
    if (this.sendLimit.isArmed) return
    this.seen = this.wire.pendingBytes
    this.sendLimit.start(this.options.settings.sendTimeoutMs)
  }

  granted(bytes: number): void {
    this.ahead -= bytes
    if (!this.isPaused || this.ahead > PAUSE_BYTES || this.phase === WAITING || this.earlyLength > 0) return
    this.resume()
    if (this.phase !== TUNNEL) this.bodyLimit.start(this.options.settings.bodyTimeoutMs)
  }

  /** 101 is written: what came early follows it, in a turn of its own. */
  switched(): void {
    this.phase = TUNNEL
    this.clock.stop()
    if (this.earlyLength > 0) setImmediate(() => this.deliverEarly())
  }

  tunnelAnswerEnded(): void {
    this.wire.end()
    this.sendLimit.stop()
    if (this.clientEnded && this.earlyLength === 0) this.stream?.over()
  }

  /** The answer is complete and taken. */
  answered(stream: Http1ClientStream): void {
    if (this.stream !== stream || this.phase >= CLOSING) return
    this.stream = null
    this.sendLimit.stop()
    if (stream.closes || this.phase === TUNNEL) {
      this.close()
    } else if (this.phase === WAITING) {
      this.next()
    } else {
      this.ahead = 0
      if (this.isPaused) this.resume()
      this.bodyLimit.start(DROP_MS)
    }
  }

  reset(): void {
    this.leave()
    this.wire.reset()
  }

  // Heads.

  private readHead(chunk: Buffer, at: number, end: number): number {
    const { partial, parser } = this
    if (partial.isEmpty) {
      const bound = headEnd(chunk, at, end)
      if (bound !== -1 && bound - at <= this.options.settings.maxHeaderBytes) {
        this.begin(parser.parse(chunk, at, bound))
        return bound
      }
      this.clock.start(this.options.settings.headerTimeoutMs)
    }
    at = partial.take(chunk, at, end)
    switch (partial.state) {
      case 'complete':
        this.begin(parser.parse(partial.bytes, 0, partial.length))
        break
      case 'bad':
        this.refuse(400, 'a bare CR or LF, or a control byte, in the head')
        break
      case 'large': {
        const { maxHeaderBytes } = this.options.settings
        if (partial.hasLine) this.refuse(431, `a head may have ${maxHeaderBytes} bytes`)
        else this.refuse(414, `the request line has more than ${maxHeaderBytes} bytes`)
        break
      }
    }
    return at
  }

  /** A head is complete: serves it, or refuses it. */
  private begin(isSound: boolean): void {
    const { parser, options } = this
    this.partial.clear()
    this.clock.stop()
    if (!isSound) {
      this.refuse(parser.status as RefusedStatus, parser.message)
      return
    }
    const { contentLength } = parser
    const head: RequestHead = {
      protocol: 'http1',
      version: parser.minor === 1 ? 'HTTP/1.1' : 'HTTP/1.0',
      method: parser.method,
      target: parser.target,
      scheme: options.scheme,
      authority: parser.lines.host,
      fields: parser.lines.fields,
      bodyless: contentLength === 0,
      contentLength,
      upgrade: parser.upgrade,
      client: this.wire.remoteAddress,
    }
    const stream = new Http1ClientStream(this, this.wire, head)
    this.stream = stream
    this.requests++
    this.ahead = 0
    this.awaitsContinue = parser.lines.expectContinue && parser.minor === 1 && contentLength !== 0
    this.phase = contentLength === 0 ? WAITING : contentLength > 0 ? LENGTH : CHUNKED
    if (contentLength === 0) {
      options.serve(stream)
      stream.events?.requestEnd([])
      return
    }
    this.left = contentLength
    if (contentLength < 0) this.chunked.begin()
    this.bodyLimit.start(options.settings.bodyTimeoutMs)
    options.serve(stream)
  }

  /** The exchange is over: the next request, which may be here already. */
  private next(): void {
    const isLast = this.isDraining || this.options.isDraining()
    this.phase = HEAD
    this.clock.start(isLast ? DRAIN_GRACE_MS : this.options.settings.idleTimeoutMs)
    if (this.isReading) return
    if (this.isPaused) this.resume()
    if (this.earlyLength > 0) this.readEarly()
    if (this.clientEnded) this.ended()
  }

  // Bodies, and the bytes of a tunnel.

  private readLength(chunk: Buffer, at: number, end: number): number {
    const bound = Math.min(end, at + this.left)
    this.left -= bound - at
    this.deliver(chunk, at, bound)
    if (this.left === 0 && this.phase === LENGTH) this.endBody([])
    return bound
  }

  private readChunked(chunk: Buffer, at: number, end: number): number {
    const { chunked } = this
    switch (chunked.step(chunk, at, end)) {
      case 'data':
        this.deliver(chunk, chunked.dataStart, chunked.dataEnd)
        break
      case 'end':
        this.endBody(chunked.trailers)
        break
      case 'bad':
        this.malformed(chunked.fault)
        break
      case 'more':
        this.bodyLimit.touch()
        break
    }
    return chunked.at
  }

  private deliver(chunk: Buffer, start: number, end: number): number {
    const { stream } = this
    this.ahead += end - start
    this.awaitsContinue = false
    if (stream === null) {
      if (this.ahead > DROP_BYTES) this.close()
      return end
    }
    this.bodyLimit.touch()
    stream.events?.requestData(chunk, start, end)
    if (this.ahead > PAUSE_BYTES && this.stream === stream && !this.isPaused) this.pause()
    return end
  }

  private endBody(trailers: Fields): void {
    this.phase = WAITING
    this.bodyLimit.stop()
    // From here on reading shows whether the client is still there.
    if (this.isPaused) this.resume()
    if (this.stream === null) this.next()
    else this.stream.events?.requestEnd(trailers)
  }

  private malformed(fault: string): void {
    if (this.stream === null) this.close()
    else if (this.stream.hasBegun) this.lose('malformed')
    else this.refuse(400, fault, 'malformed')
  }

  private keep(chunk: Buffer, start: number, end: number): number {
    const length = this.earlyLength + end - start
    if (length > this.early.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, this.early.length * 2))
      this.early.copy(larger, 0, 0, this.earlyLength)
      this.early = larger
    }
    chunk.copy(this.early, this.earlyLength, start, end)
    this.earlyLength = length
    if (length > EARLY_BYTES && !this.isPaused) this.pause()
    return end
  }

  private readEarly(): void {
    const { early, earlyLength } = this
    this.early = NOTHING
    this.earlyLength = 0
    this.received(early, 0, earlyLength)
  }

  private deliverEarly(): void {
    if (this.phase !== TUNNEL) return
    const { early, earlyLength } = this
    this.early = NOTHING
    this.earlyLength = 0
    if (this.isPaused) this.resume()
    this.deliver(early, 0, earlyLength)
    if (this.clientEnded) this.endTunnelRequest()
  }

  private endTunnelRequest(): void {
    const { stream } = this
    stream?.events?.requestEnd([])
    if (stream?.hasEnded) stream.over()
  }

  private pause(): void {
    this.isPaused = true
    this.bodyLimit.stop()
    this.wire.pauseReading()
  }

  private resume(): void {
    this.isPaused = false
    this.wire.resumeReading()
  }

  // Ends.

  /** Answers with an error of ours, which ends the connection.  why: what the exchange hears, where there is one. */
  private refuse(status: RefusedStatus, message: string, why: 'malformed' | 'stalled' = 'malformed'): void {
    writeRefusal(this.wire, status, message)
    const events = this.stream?.abandon()
    this.close()
    events?.clientGone(why)
  }

  /** Ends our direction behind what has been sent, and reads on for a while: unread bytes would turn the close into a reset. */
  private close(): void {
    this.leave()
    this.phase = CLOSING
    this.ahead = 0
    this.seen = 0
    this.clock.start(LINGER_MS)
    if (this.isPaused) this.resume()
    this.wire.end()
  }

  private linger(start: number, end: number): number {
    this.ahead += end - start
    if (this.phase === CLOSING && this.ahead > DROP_BYTES) this.wire.destroy()
    return end
  }

  /** The exchange cannot go on.  A reset: nobody may take a begun answer for a complete one. */
  private lose(why: 'closed' | 'malformed' | 'stalled'): void {
    const events = this.stream?.abandon()
    this.leave()
    this.wire.reset()
    events?.clientGone(why)
  }

  private leave(): void {
    this.phase = GONE
    this.stream = null
    this.early = NOTHING
    this.earlyLength = 0
    this.partial.clear()
    this.clock.stop()
    this.bodyLimit.stop()
    this.sendLimit.stop()
  }

  // Limits that have passed.

  private sendExpired(): void {
    const pending = this.wire.pendingBytes
    if (pending >= this.seen) {
      this.lose('stalled')
      return
    }
    this.seen = pending
    this.sendLimit.start(this.options.settings.sendTimeoutMs)
  }

  private bodyExpired(): void {
    if (this.stream === null) this.close()
    else if (this.stream.hasBegun) this.lose('stalled')
    else this.refuse(408, 'the body of the request stood still', 'stalled')
  }

  private watchHalfClosed(): void {
    this.seen = this.stream!.sent
    this.clock.start(HALF_CLOSED_MS)
  }

  private halfClosedExpired(): void {
    if (this.stream === null) return
    if (this.stream.sent !== this.seen || this.stream.isHeld) this.watchHalfClosed()
    else this.lose('closed')
  }

  /** What the client has not taken yet may still go out, as slowly as an answer may. */
  private lingerExpired(): void {
    if (this.wire.pendingBytes === 0 || ++this.seen * LINGER_MS > this.options.settings.sendTimeoutMs) this.wire.destroy()
    else this.clock.start(LINGER_MS)
  }
}
