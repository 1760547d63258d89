// A connection to an HTTP/2 service: attempts become its streams, as many as it allows.
// What a call costs stands in connection.ts; an attempt makes one object, Http2Attempt.
import type { EndpointAddress } from '../../core/spec.js'
import { Delay } from '../delays.js'
import type { Failure } from '../stream.js'
import type { PoolLimits } from '../upstream/limits.js'
import { Wire } from '../wire.js'
import type { Http2Attempt } from './client-stream.js'
import { Connection } from './connection.js'
import { areTrailersSound } from './field-checks.js'
import { CancelMeter, EARNED_BY_REQUEST, NOISE_OF_FRAME, SERVICE_LIMITS } from './floods.js'
import { CODE, MAX_STREAM_ID, PREFACE, SETTING, writePing } from './frames.js'
import { DECODED_OK, DECODED_TOO_LARGE, type Decoded } from './hpack/decoder.js'
import { writeRequestHead } from './request-writer.js'
import { answerLength, readResponseHead } from './response-head.js'
import { connectionLost, HEAD_TOO_LARGE, nonsense, resetFailure, unreachable, WENT_AWAY } from './upstream-failures.js'

// Servers of gRPC's libraries count a PING within five minutes of the last one as a strike, streams or not (rule 22).
const KEEPALIVE_MS = 300_000
const PONG_MS = 20_000
const PING_PAYLOAD = Buffer.from('alive yet', 'latin1')

/** The pool. */
export interface ClientConnectionOwner {
  /** It may take another stream. */
  hasRoom(connection: ClientConnection): void
  /** It takes no new streams. */
  leaves(connection: ClientConnection): void
  /** It has never spoken HTTP/2, and never will. */
  failedToOpen(connection: ClientConnection, failure: Failure): void
  /** One stream fewer. */
  streamEnded(connection: ClientConnection): void
}

export class ClientConnection extends Connection {
  protected readonly peerRole = 'service'
  protected readonly lastPeerId = 0
  private readonly owner: ClientConnectionOwner
  private readonly limits: PoolLimits
  private isLeaving = false
  /** Its end has been told to the pool. */
  private isTold = false
  private readonly cancels = new CancelMeter()
  private readonly setupDelay = new Delay(this)
  private readonly idleDelay = new Delay(this)
  private readonly aliveDelay = new Delay(this)
  private readonly pongDelay = new Delay(this)

  private constructor(wire: Wire, limits: PoolLimits, owner: ClientConnectionOwner) {
    super(wire, limits, SERVICE_LIMITS, 0)
    this.owner = owner
    this.limits = limits
    wire.append(PREFACE, 0, PREFACE.length)
    this.sendSettings([SETTING.ENABLE_PUSH, 0])
  }

  /** setupMs: by then it must have spoken HTTP/2. */
  static open(address: EndpointAddress, limits: PoolLimits, owner: ClientConnectionOwner, setupMs: number): ClientConnection {
    const wire = Wire.open(address, () => {})
    const connection = new ClientConnection(wire, limits, owner)
    wire.owner = connection
    connection.setupDelay.start(setupMs)
    return connection
  }

  /** It has been an HTTP/2 connection. */
  get hasSpoken(): boolean {
    return this.hasPeerSettings
  }

  /** Only the peer's SETTINGS prove that it speaks HTTP/2; until then nothing of a request leaves. */
  get isReady(): boolean {
    return this.hasPeerSettings && !this.isLeaving && !this.isOver && !this.wire.isGone
  }

  /** May one more stream begin now? */
  get canTake(): boolean {
    return this.isReady && this.streams.size < this.peer.maxStreams && !this.wire.isBlocked && this.highestId < MAX_STREAM_ID - 2
  }

  /** Its windows or its socket hold up what it has. */
  get isJammed(): boolean {
    return this.output.window <= 0 || this.wire.isBlocked
  }

  get isConnecting(): boolean {
    return !this.hasPeerSettings && !this.isLeaving && !this.isOver
  }

  /** Begins a stream; `canTake` was true.  Returns a failure where the service cannot take such a request. */
  begin(attempt: Http2Attempt): Failure | null {
    const { head } = attempt
    if (head.upgrade !== null && !this.peer.allowsConnectProtocol) {
      return nonsense('the service takes no WebSocket over HTTP/2 (RFC 8441)')
    }
    const { output } = this
    this.highestId += this.highestId === 0 ? 1 : 2
    attempt.id = this.highestId
    attempt.connection = this
    attempt.sendWindow = output.initialWindow
    attempt.headFlush = this.wire.flushes
    this.streams.add(attempt)
    if (this.streams.size === 1) this.becameBusy()
    attempt.isOpen = true
    attempt.isLocalEnded = writeRequestHead(output, attempt.id, head)
    return null
  }

  private becameBusy(): void {
    this.idleDelay.stop()
    if (!this.aliveDelay.isArmed) this.aliveDelay.start(KEEPALIVE_MS)
  }

  /** Takes no new streams, and goes when it has none. */
  leave(): void {
    if (this.isLeaving) return
    this.isLeaving = true
    this.owner.leaves(this)
    this.finishIfIdle()
  }

  /** Of a complete answer a service has nothing to undo: that end is no error. */
  giveUp(attempt: Http2Attempt): void {
    if (attempt.isClosed) return
    this.resetStream(attempt, attempt.isRemoteEnded ? CODE.NO_ERROR : CODE.CANCEL)
    if (this.cancels.add(performance.now())) this.leave()
  }

  private finishIfIdle(): void {
    if (this.streams.size === 0 && this.isLeaving) this.sayGoodbye(CODE.NO_ERROR, '')
  }

  override received(chunk: Buffer, start: number, end: number): void {
    this.aliveDelay.touch()
    super.received(chunk, start, end)
  }

  override writable(): void {
    super.writable()
    if (this.canTake) this.owner.hasRoom(this)
  }

  protected hasSettings(): void {
    this.setupDelay.stop()
    if (this.streams.size === 0) this.idleDelay.start(this.limits.idleMs)
    if (this.canTake) this.owner.hasRoom(this)
  }

  protected isIdle(id: number): boolean {
    return (id & 1) === 0 || id > this.highestId
  }

  protected headers(id: number, ends: boolean, verdict: Decoded): void {
    const attempt = this.streams.get(id) as Http2Attempt | undefined
    if (attempt === undefined) {
      if (this.isIdle(id)) this.fail(CODE.PROTOCOL_ERROR, 'HEADERS on an idle stream')
      else this.lateHeaders(id)
    } else if (attempt.isRemoteEnded) this.streamFault(attempt, CODE.STREAM_CLOSED)
    else if (verdict === DECODED_TOO_LARGE) this.answerTooLarge(attempt)
    else if (verdict !== DECODED_OK) this.answerFault(attempt, 'the answer has a field that is not allowed')
    else if (attempt.hasHead) this.trailers(attempt, ends)
    else this.answerHead(attempt, ends)
  }

  private trailers(attempt: Http2Attempt, ends: boolean): void {
    if (!ends || !areTrailersSound(this.fields)) this.answerFault(attempt, 'the answer has malformed trailers')
    else attempt.answerDone(this.fields)
  }

  private answerHead(attempt: Http2Attempt, ends: boolean): void {
    const status = readResponseHead(this.fields)
    if (status === 0 || status === 101 || (status < 200 && ends)) {
      this.answerFault(attempt, 'the answer has a malformed head')
      return
    }
    const fields = this.fields.slice(2)
    if (status < 200) {
      this.noisy(NOISE_OF_FRAME)
      attempt.events.informational(status, fields)
      return
    }
    const isEmpty = attempt.head.method === 'HEAD' || status === 204 || status === 304
    if (ends && answerLength > 0 && !isEmpty) {
      this.answerFault(attempt, 'the answer is shorter than its content-length')
      return
    }
    const isTunnel = attempt.head.upgrade !== null && status < 300
    // A tunnel that is refused was a request without a body.
    if (attempt.head.upgrade !== null && !isTunnel) attempt.sendEnd([])
    if (isEmpty) attempt.lengthLeft = 0
    else if (!isTunnel) attempt.lengthLeft = answerLength
    attempt.hasHead = true
    this.noise.earn(EARNED_BY_REQUEST)
    if (ends) attempt.remoteDone()
    attempt.events.answerHead(isTunnel ? 101 : status, fields, ends ? 'now' : 'later')
  }

  private answerFault(attempt: Http2Attempt, message: string): void {
    this.resetStream(attempt, CODE.PROTOCOL_ERROR)
    attempt.fail(nonsense(message))
  }

  private answerTooLarge(attempt: Http2Attempt): void {
    this.resetStream(attempt, CODE.PROTOCOL_ERROR)
    attempt.fail(HEAD_TOO_LARGE)
  }

  streamFault(attempt: Http2Attempt, code: number): void {
    const isComplete = attempt.isRemoteEnded
    this.resetStream(attempt, code)
    if (!isComplete) attempt.fail(nonsense('the service broke the rules of HTTP/2'))
  }

  /** A service that has answered may reset what is left of the request: the answer stands (RFC 9113 8.1). */
  protected peerReset(attempt: Http2Attempt, code: number): void {
    const isEndInOrder = attempt.isRemoteEnded && code === CODE.NO_ERROR
    this.forget(attempt)
    // Of a tunnel the other direction may have been under way.
    if (!isEndInOrder) attempt.fail(resetFailure(code))
  }

  protected goaway(lastId: number): void {
    this.noisy(NOISE_OF_FRAME)
    const began = !this.isLeaving
    this.isLeaving = true
    const unbegun = this.streams.all().filter(record => record.id > lastId) as Http2Attempt[]
    for (const attempt of unbegun) this.forget(attempt)
    if (began) this.owner.leaves(this)
    for (const attempt of unbegun) attempt.fail(WENT_AWAY)
    this.finishIfIdle()
  }

  protected streamClosed(): void {
    if (this.streams.size === 0 && !this.isOver) {
      if (this.isLeaving) this.finishIfIdle()
      else this.idleDelay.start(this.limits.idleMs)
    }
    this.owner.streamEnded(this)
  }

  protected pong(): void {
    this.pongDelay.stop()
  }

  override expired(delay: Delay): void {
    if (delay === this.setupDelay) this.tooLate()
    else if (delay === this.idleDelay) this.leave()
    else if (delay === this.aliveDelay) this.checkAlive()
    else if (delay === this.pongDelay) this.wire.destroy()
    else super.expired(delay)
  }

  private tooLate(): void {
    this.lose(unreachable('no HTTP/2 connection in time'))
    this.wire.destroy()
  }

  private checkAlive(): void {
    if (this.streams.size === 0 || this.isOver) return
    writePing(this.wire, 0, PING_PAYLOAD, 0)
    this.pongDelay.start(PONG_MS)
    this.aliveDelay.start(KEEPALIVE_MS)
  }

  protected hasFailed(_code: number, message: string): void {
    const text = this.hasPeerSettings ? `the service broke HTTP/2: ${message}` : 'the service does not speak HTTP/2'
    this.lose(nonsense(text))
  }

  protected hasGone(error: Error | null): void {
    for (const delay of [this.setupDelay, this.idleDelay, this.aliveDelay, this.pongDelay]) delay.stop()
    if (this.hasPeerSettings) this.lose(connectionLost(error))
    else this.lose(unreachable(error?.message ?? 'the service closed the connection before it spoke HTTP/2'))
  }

  private lose(failure: Failure): void {
    if (this.isTold) return
    this.isTold = true
    this.isLeaving = true
    const attempts = this.streams.all() as Http2Attempt[]
    const unsent = unreachable(failure.message)
    const lastFlush = this.wire.flushes
    for (const attempt of attempts) this.forget(attempt)
    this.owner.leaves(this)
    if (!this.hasPeerSettings) this.owner.failedToOpen(this, failure)
    for (const attempt of attempts) attempt.fail(attempt.headFlush === lastFlush ? unsent : failure)
  }

  protected hasRead(): void {}

  protected blockOpened(): void {}

  protected blockClosed(): void {}
}
