// One HTTP/1.1 connection to a service: one exchange at a time, kept only where both messages were complete and not a byte followed.
//
//   CONNECTING ─► IDLE ─► HEAD ─► BODY ─► IDLE …       ─► GONE
//                          └─► TUNNEL                  after 101
//
// A byte or an end in IDLE means that the connection cannot be trusted with another request: it is dropped (RFC 9112 9.3, response queue poisoning).
import { GRPC } from '../../core/grpc.js'
import type { Fields } from '../../core/headers.js'
import { Delay, type Expiring } from '../delays.js'
import type { Failure, UpstreamEvents } from '../stream.js'
import type { PoolLimits } from '../upstream/limits.js'
import type { Wire, WireOwner } from '../wire.js'
import { AnswerParser } from './answer-parser.js'
import { BodyDecoder } from './body-decoder.js'
import type { Http1UpstreamStream } from './client-stream.js'
import { ReadCredit } from './read-credit.js'

const CONNECTING = 0
const IDLE = 1
const HEAD = 2
const BODY = 3
const TUNNEL = 4
const GONE = 5

/** Heads below 200 before one answer. */
const MAX_INFORMATIONAL = 64

/** Who keeps the connections. */
export interface ConnectionPool {
  readonly limits: PoolLimits
  connected(connection: Http1ClientConnection): void
  /** The exchange is over and another may begin. */
  idle(connection: Http1ClientConnection): void
  /** No connection came about. */
  refused(connection: Http1ClientConnection, error: Error | null): void
  /** Not to be used any more. */
  gone(connection: Http1ClientConnection): void
}

export class Http1ClientConnection implements WireOwner, Expiring {
  /** For the stream of the exchange under way. */
  stream: Http1UpstreamStream | null = null
  private readonly pool: ConnectionPool
  private readonly wire: Wire
  private readonly credit: ReadCredit
  private readonly parser: AnswerParser
  private readonly body: BodyDecoder
  private readonly idleLimit = new Delay(this)
  private phase = CONNECTING
  private exchanges = 0
  private informational = 0
  private hasAnswerByte = false
  /** The answer lets the connection be used again. */
  private keeps = false
  private serviceEnded = false

  /** wire: on its way; the connection is its owner from now on. */
  constructor(pool: ConnectionPool, wire: Wire) {
    this.pool = pool
    this.wire = wire
    this.credit = new ReadCredit(wire)
    wire.owner = this
    this.parser = new AnswerParser(pool.limits)
    this.body = new BodyDecoder(pool.limits)
  }

  connected(): void {
    if (this.phase !== CONNECTING) return
    this.phase = IDLE
    this.pool.connected(this)
  }

  /** Sends a request.  Only for an idle connection. */
  begin(stream: Http1UpstreamStream): void {
    this.idleLimit.stop()
    this.stream = stream
    this.phase = HEAD
    this.exchanges++
    this.informational = 0
    this.hasAnswerByte = false
    this.credit.ahead = 0
    stream.begin(this, this.wire)
  }

  /** No exchange for as long as the limit says: closed. */
  rest(): void {
    this.phase = IDLE
    this.idleLimit.start(this.pool.limits.idleMs)
  }

  expired(): void {
    this.drop()
  }

  /** Gone at once; nobody waits for it any more. */
  drop(): void {
    this.leave()
    this.wire.destroy()
  }

  /** Gone in a moment: the exchange under way fails then. */
  breakOff(): void {
    this.wire.destroy()
  }

  granted(bytes: number): void {
    this.credit.ahead -= bytes
    if (!this.credit.isSpent) this.credit.resume()
  }

  tunnelRequestEnded(): void {
    this.wire.end()
    if (this.serviceEnded) this.finishTunnel()
  }

  received(chunk: Buffer, start: number, end: number): void {
    let at = start
    while (at < end) {
      switch (this.phase) {
        case HEAD:
          at = this.readHead(chunk, at, end)
          break
        case BODY:
          at = this.readBody(chunk, at, end)
          break
        case TUNNEL:
          at = this.deliver(chunk, at, end)
          break
        case IDLE:
          this.drop()
          return
        default:
          return
      }
    }
  }

  ended(): void {
    this.serviceEnded = true
    switch (this.phase) {
      case IDLE:
        this.drop()
        break
      case BODY:
        if (this.body.isUntilClose) this.complete([], 'last')
        else this.lost('the service closed the connection in the middle of its answer')
        break
      case TUNNEL:
        this.endTunnelAnswer()
        break
      default:
        this.lost('the service closed the connection')
    }
  }

  writable(): void {
    this.stream?.writable()
  }

  closed(error: Error | null): void {
    if (this.phase === CONNECTING) {
      this.phase = GONE
      this.pool.refused(this, error)
    } else this.lost(error === null ? 'the service closed the connection' : error.message)
  }

  // Heads.

  private readHead(chunk: Buffer, at: number, end: number): number {
    const { parser } = this
    this.hasAnswerByte = true
    const outcome = parser.read(chunk, at, end)
    if (outcome === 'sound') this.answer(parser.at === end ? 'last' : 'more')
    else if (outcome === 'refused' && parser.isTooLarge) this.tooLarge(parser.fault)
    else if (outcome === 'refused') this.nonsense(parser.fault)
    return parser.at
  }

  /** A head is complete.  rest: are there bytes behind it? */
  private answer(rest: 'last' | 'more'): void {
    const { parser, stream } = this
    const { status, lines } = parser
    if (stream === null) return
    if (status === 101) {
      this.switchProtocols(stream)
      return
    }
    if (status < 200) {
      if (++this.informational > MAX_INFORMATIONAL) this.nonsense(`more than ${MAX_INFORMATIONAL} heads below 200`)
      else stream.events?.informational(status, lines.fields)
      return
    }
    const length = parser.bodyLength(stream.head.method)
    this.keeps = parser.keeps
    if (length === 0) {
      this.finish(stream, rest)?.answerHead(status, lines.fields, 'now')
      return
    }
    this.phase = BODY
    this.body.begin(length)
    stream.events?.answerHead(status, lines.fields, 'later')
  }

  private switchProtocols(stream: Http1UpstreamStream): void {
    if (stream.head.upgrade === null) this.nonsense('it answered 101 to a request without Upgrade')
    else if (!this.parser.isWebSocket) this.nonsense('its 101 does not agree to WebSocket')
    else {
      this.phase = TUNNEL
      stream.switched()
      stream.events?.answerHead(101, this.parser.lines.fields, 'later')
    }
  }

  // Bodies, and the bytes of a tunnel.

  private readBody(chunk: Buffer, at: number, end: number): number {
    const { body } = this
    const outcome = body.step(chunk, at, end)
    if (outcome === 'data') this.deliver(chunk, body.dataStart, body.dataEnd)
    else if (outcome === 'bad') this.nonsense(body.fault)
    if (body.isOver && this.phase === BODY) this.complete(body.trailers, body.at === end ? 'last' : 'more')
    return body.at
  }

  private deliver(chunk: Buffer, start: number, end: number): number {
    const { stream, credit } = this
    credit.ahead += end - start
    stream?.events?.answerData(chunk, start, end)
    if (credit.isSpent && stream !== null && this.stream === stream) credit.pause()
    return end
  }

  // Ends.

  private complete(trailers: Fields, rest: 'last' | 'more'): void {
    if (this.stream !== null) this.finish(this.stream, rest)?.answerEnd(trailers)
  }

  /** The answer is complete: keeps the connection or drops it.  Returns whom to tell. */
  private finish(stream: Http1UpstreamStream, rest: 'last' | 'more'): UpstreamEvents | null {
    const isKept = this.keeps && rest === 'last' && stream.isSent && !this.wire.isBlocked && !this.serviceEnded
    const events = stream.abandon()
    this.stream = null
    this.credit.resume()
    if (isKept) {
      this.phase = IDLE
      this.pool.idle(this)
    } else this.drop()
    return events
  }

  private endTunnelAnswer(): void {
    const { stream } = this
    if (stream === null) return
    stream.events?.answerEnd([])
    if (stream.isSent) this.finishTunnel()
  }

  private finishTunnel(): void {
    this.stream?.abandon()
    this.leave()
    this.wire.end()
  }

  private lost(message: string): void {
    const isUntouched = this.exchanges > 1 && !this.hasAnswerByte
    this.fail({ code: 'UPSTREAM_BROKEN', message, again: isUntouched ? 'idempotent' : 'no' })
  }

  /** Rule 25: 8 for a gRPC call. */
  private tooLarge(fault: string): void {
    this.fail({ code: 'UPSTREAM_PROTOCOL', message: fault, again: 'no', grpc: GRPC.RESOURCE_EXHAUSTED })
  }

  private nonsense(fault: string): void {
    this.fail({ code: 'UPSTREAM_PROTOCOL', message: fault, again: 'no' })
  }

  private fail(failure: Failure): void {
    const { stream } = this
    this.drop()
    stream?.fail(failure)
  }

  private leave(): void {
    if (this.phase === GONE) return
    this.phase = GONE
    this.stream = null
    this.parser.clear()
    this.idleLimit.stop()
    this.pool.gone(this)
  }
}
