// A client's HTTP/2 connection: its streams become requests, within the guards of the configuration.
// What a call costs stands in connection.ts; a request makes two objects here, its head and its stream.
import type { ErrorCode } from '../../core/error.js'
import type { ProxySpec } from '../../core/spec.js'
import { Delay } from '../delays.js'
import type { ServerOptions } from '../server-options.js'
import type { Wire } from '../wire.js'
import { Connection } from './connection.js'
import { areTrailersSound } from './field-checks.js'
import { EARNED_BY_REQUEST, NOISE_OF_FRAME, ResetMeter } from './floods.js'
import { CODE, FLAG, MAX_STREAM_ID, PREFACE, SETTING, writeGoaway, writePing } from './frames.js'
import { DECODED_MALFORMED, DECODED_OK, DECODED_TOO_LARGE, type Decoded } from './hpack/decoder.js'
import { failedConnection, refusalFields, refusedRequest } from './refusals.js'
import { type RequestOrigin, readRequestHead } from './request-head.js'
import { ServerStream } from './server-stream.js'

/** How long a client may take to answer the PING between the two GOAWAYs (rule 20). */
const GOAWAY_PAUSE_MS = 1000
const PING_PAYLOAD = Buffer.from('goodbye?', 'latin1')

export class ServerConnection extends Connection {
  readonly settings: ProxySpec
  protected readonly peerRole = 'client'
  private readonly options: ServerOptions
  private readonly origin: RequestOrigin
  private readonly meter: ResetMeter
  private readonly idleDelay = new Delay(this)
  private readonly headDelay = new Delay(this)
  private readonly goodbyeDelay = new Delay(this)
  private readonly pauseDelay = new Delay(this)
  /** Streams of which this read has left something to do: a body to wait for, or one that nobody needs. */
  private readonly unsettled: ServerStream[] = []
  private requests = 0
  /** Of our second GOAWAY; -1: not sent. */
  private finalId = -1
  private isDraining = false
  private isPeerLeaving = false
  private isHeadLate = false

  constructor(wire: Wire, options: ServerOptions) {
    super(wire, options.settings, options.settings, PREFACE.length)
    this.options = options
    this.settings = options.settings
    this.origin = { ends: false, scheme: options.scheme, client: wire.remoteAddress, neverIndexed: this.neverIndexed }
    this.meter = new ResetMeter(options.settings.maxResetsPerSecond)
    this.sendSettings([SETTING.MAX_CONCURRENT_STREAMS, options.settings.maxStreams, SETTING.ENABLE_CONNECT_PROTOCOL, 1])
    this.headDelay.start(options.settings.headerTimeoutMs)
    if (options.isDraining()) this.drain()
  }

  /** Two steps, because a request may be on its way while the first GOAWAY is (rule 20). */
  drain(): void {
    if (this.isDraining || this.isOver) return
    this.isDraining = true
    writeGoaway(this.wire, MAX_STREAM_ID, CODE.NO_ERROR, '')
    writePing(this.wire, 0, PING_PAYLOAD, 0)
    this.goodbyeDelay.start(GOAWAY_PAUSE_MS)
  }

  protected pong(): void {
    if (this.goodbyeDelay.isArmed) this.drainFinally()
  }

  private drainFinally(): void {
    this.goodbyeDelay.stop()
    if (this.isOver) return
    this.finalId = this.highestId
    writeGoaway(this.wire, this.finalId, CODE.NO_ERROR, '')
    this.finishIfIdle()
  }

  private finishIfIdle(): void {
    if (this.streams.size === 0 && (this.finalId >= 0 || this.isPeerLeaving)) this.finish()
  }

  protected get lastPeerId(): number {
    return this.finalId >= 0 ? this.finalId : this.highestId
  }

  protected isIdle(id: number): boolean {
    return (id & 1) === 0 || id > this.highestId
  }

  protected headers(id: number, ends: boolean, verdict: Decoded): void {
    const stream = this.streams.get(id)
    if (stream !== undefined) {
      this.trailers(stream as ServerStream, ends, verdict)
      return
    }
    if ((id & 1) === 0) {
      this.fail(CODE.PROTOCOL_ERROR, 'a request on an even stream')
      return
    }
    if (id <= this.highestId) {
      this.lateHeaders(id)
      return
    }
    this.highestId = id
    this.noise.earn(EARNED_BY_REQUEST)
    // After our last GOAWAY it is the client's to know that this was not begun.
    if (this.finalId >= 0) this.refuse(id, CODE.REFUSED_STREAM)
    else if (this.streams.size >= this.settings.maxStreams) this.turnAway(id, CODE.REFUSED_STREAM, 'TOO_MANY_STREAMS')
    else if (verdict === DECODED_MALFORMED) this.turnAway(id, CODE.PROTOCOL_ERROR, 'REQUEST_MALFORMED')
    else if (verdict === DECODED_TOO_LARGE) this.answerRefusal(id, 431, ends)
    else this.request(id, ends)
  }

  private request(id: number, ends: boolean): void {
    this.origin.ends = ends
    const head = readRequestHead(this.fields, this.origin)
    if (head === 'malformed') {
      this.turnAway(id, CODE.PROTOCOL_ERROR, 'REQUEST_MALFORMED')
      return
    }
    if (head === 'unsupported') {
      this.answerRefusal(id, 501, ends)
      return
    }
    const stream = new ServerStream(this, id, head)
    this.streams.add(stream)
    if (this.streams.size === 1) {
      this.idleDelay.stop()
      if (this.headDelay.isArmed && !this.isMidFrame) this.headDelay.stop()
    }
    if (!ends) this.unsettled.push(stream)
    this.requests++
    this.options.serve(stream)
    if (this.requests === this.settings.maxRequestsPerConnection) this.drain()
  }

  /** A whole answer of ours to a request that no record is made for. */
  private answerRefusal(id: number, status: 431 | 501, ends: boolean): void {
    if (!this.mayControl()) return
    this.output.head(id, refusalFields(status, this.fields), FLAG.END_STREAM)
    const code = status === 431 ? 'REQUEST_HEAD_TOO_LARGE' : 'REQUEST_MALFORMED'
    this.options.refused(refusedRequest(code, this.wire.remoteAddress, this.fields, status))
    // A refusal costs the decoding of its whole head: it counts as a reset that was provoked.
    if (ends) this.countReset()
    else this.provoked(id, CODE.NO_ERROR)
  }

  /** A request that never begins: reset, and in the log. */
  private turnAway(id: number, reset: number, code: ErrorCode): void {
    this.options.refused(refusedRequest(code, this.wire.remoteAddress, this.fields))
    this.provoked(id, reset)
  }

  private trailers(stream: ServerStream, ends: boolean, verdict: Decoded): void {
    if (stream.isRemoteEnded) {
      this.streamFault(stream, CODE.STREAM_CLOSED)
      return
    }
    if (!ends || verdict !== DECODED_OK || !areTrailersSound(this.fields)) {
      this.streamFault(stream, CODE.PROTOCOL_ERROR)
      return
    }
    stream.requestDone(this.fields)
  }

  protected hasRead(): void {
    if (this.unsettled.length > 0) this.settle()
    const isMidHead = this.isMidFrame || this.openBlockId !== 0
    if (isMidHead === this.headDelay.isArmed || this.isOver) return
    if (isMidHead) this.headDelay.start(this.settings.headerTimeoutMs)
    else if (this.hasPeerSettings) this.headsAreHere()
  }

  private settle(): void {
    for (const stream of this.unsettled) {
      if (stream.isClosed || stream.isRemoteEnded) continue
      if (!stream.isServed) this.resetStream(stream, CODE.NO_ERROR)
      else stream.awaitBody()
    }
    this.unsettled.length = 0
  }

  /** The answer is complete: a client that still sends is told that nobody reads it, without an error (rule 10).
   *  Not before the end of this read: the rest of the request may be in it. */
  answered(stream: ServerStream): void {
    if (stream.isRemoteEnded) this.forget(stream)
    else if (stream.isServed) return
    else if (this.isReading) this.unsettled.push(stream)
    else this.resetStream(stream, CODE.NO_ERROR)
  }

  /** The client takes nothing of its answer. */
  stalled(stream: ServerStream): void {
    if (stream.isClosed) return
    const told = stream.isServed
    this.resetStream(stream, CODE.CANCEL)
    if (told) stream.events?.clientGone('stalled')
  }

  streamFault(stream: ServerStream, code: number): void {
    if (stream.isClosed) return
    const told = stream.isServed
    this.resetStream(stream, code)
    if (told) stream.events?.clientGone('malformed')
    this.countReset()
  }

  protected peerReset(stream: ServerStream): void {
    const told = stream.isServed
    this.forget(stream)
    if (!told) return
    stream.events?.clientGone('reset')
    this.countReset()
  }

  /** A reset that the client has earned with a request that never began. */
  private provoked(id: number, code: number): void {
    this.refuse(id, code)
    this.countReset()
  }

  /** Beyond the allowance: not one frame more of what this read has brought, so that a flood does not fill the worker's turn. */
  private countReset(): void {
    const pauseMs = this.meter.add(performance.now())
    if (pauseMs === 0 || this.isOver || this.isHeld) return
    this.isHeld = true
    this.pauseDelay.start(pauseMs)
  }

  /** The pause is over: first what waited, which may well end in the next pause. */
  private goOn(): void {
    const backlog = this.takeBacklog()
    this.isHeld = false
    this.wire.resumeReading()
    if (this.meter.isFlood(backlog?.length ?? 0)) this.fail(CODE.ENHANCE_YOUR_CALM, 'too many streams are reset')
    else if (backlog !== null) this.received(backlog, 0, backlog.length)
  }

  protected goaway(): void {
    this.isPeerLeaving = true
    this.noisy(NOISE_OF_FRAME)
    this.finishIfIdle()
  }

  protected streamClosed(stream: ServerStream): void {
    stream.stopDelays()
    if (this.streams.size > 0 || this.isOver) return
    this.idleDelay.start(this.settings.idleTimeoutMs)
    this.finishIfIdle()
  }

  override expired(delay: Delay): void {
    if (delay === this.pauseDelay) this.goOn()
    else if (delay === this.goodbyeDelay) this.drainFinally()
    else if (delay === this.idleDelay) this.sayGoodbye(CODE.NO_ERROR, 'idle')
    else if (delay === this.headDelay) this.headTooSlow()
    else super.expired(delay)
  }

  private headTooSlow(): void {
    this.isHeadLate = true
    if (!this.hasPreface) this.wire.destroy()
    else if (this.isMidFrame || this.openBlockId !== 0) this.fail(CODE.ENHANCE_YOUR_CALM, 'a head takes too long')
    else this.sayGoodbye(CODE.NO_ERROR, 'no SETTINGS')
  }

  protected blockOpened(): void {
    if (!this.headDelay.isArmed) this.headDelay.start(this.settings.headerTimeoutMs)
  }

  protected blockClosed(): void {
    if (this.hasPeerSettings) this.headsAreHere()
  }

  /** A client that has connected ahead of its first call, as gRPC's do, is idle. */
  private headsAreHere(): void {
    this.headDelay.stop()
    if (this.requests === 0 && !this.idleDelay.isArmed) this.idleDelay.start(this.settings.idleTimeoutMs)
  }

  protected hasSettings(): void {}

  protected hasFailed(code: number): void {
    this.options.refused(failedConnection(this.isHeadLate ? 'late' : code, this.wire.remoteAddress))
    this.lose('malformed')
  }

  protected hasGone(): void {
    for (const delay of [this.idleDelay, this.headDelay, this.goodbyeDelay, this.pauseDelay]) delay.stop()
    this.lose('closed')
    this.options.closed()
  }

  private lose(why: 'closed' | 'malformed'): void {
    for (const record of this.streams.all()) {
      const stream = record as ServerStream
      const told = stream.isServed && !stream.isClosed
      this.forget(stream)
      if (told) stream.events?.clientGone(why)
    }
  }
}
