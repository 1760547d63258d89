// How long a client's connection may do nothing, in each of its phases; what follows is the connection's business.
import type { ProxySpec } from '../../core/spec.js'
import { Delay, type Expiring } from '../delays.js'
import type { Wire } from '../wire.js'
import type { Http1ClientStream } from './server-stream.js'

/** While draining, a connection without a request: one may be on its way. */
const DRAIN_GRACE_MS = 1000
/** Of a body that nobody wants any more. */
const DROP_MS = 1000
/** A client that has ended its direction may have closed, or wait for its answer: bytes to a closed one come back as a reset.
 *  Before its answer it is sent a 100, which every HTTP/1.1 client must be able to skip (RFC 9110 15.2), and a second one, which fails when the
 *  first was answered by a reset; then ever more rarely.  Where that cannot be, one to which nothing could be sent for so long has left. */
const PROBE_MS = 25
const HALF_CLOSED_MS = 1000
const MAX_DOUBLINGS = 3

export interface Limited {
  /** No head, or none that is complete. */
  headExpired?(): void
  bodyExpired?(): void
  /** stalled: the client takes nothing of its answer.  closed: it has ended its direction, and nothing could be sent to it. */
  lose(why: 'stalled' | 'closed'): void
}

export class ServerLimits implements Expiring {
  private readonly limited: Limited
  private readonly wire: Wire
  private readonly settings: ProxySpec
  /** Head, idle, grace; while an answer is under way: half-closed. */
  private readonly clock = new Delay(this)
  private readonly bodyClock = new Delay(this)
  private readonly sendClock = new Delay(this)
  private halfClosedStream: Http1ClientStream | null = null
  private looks = 0
  private isProbing = false
  /** How far the answer was when the half-closed limit was last looked at. */
  private sentBytes = 0
  /** What was not taken when the send limit was last looked at. */
  private pendingBytes = 0

  constructor(limited: Limited, wire: Wire, settings: ProxySpec) {
    this.limited = limited
    this.wire = wire
    this.settings = settings
  }

  /** A head has begun, or the connection has. */
  head(): void {
    this.clock.start(this.settings.headerTimeoutMs)
  }

  /** There is no request. */
  idle(): void {
    this.halfClosedStream = null
    this.clock.start(this.settings.idleTimeoutMs)
  }

  drain(): void {
    this.halfClosedStream = null
    this.clock.start(DRAIN_GRACE_MS)
  }

  halfClosed(stream: Http1ClientStream): void {
    this.halfClosedStream = stream
    this.looks = 0
    this.lookAt(stream)
  }

  private lookAt(stream: Http1ClientStream): void {
    this.sentBytes = stream.sent
    this.isProbing = stream.probe()
    const doublings = Math.min(this.looks++, MAX_DOUBLINGS + 1)
    this.clock.start(!this.isProbing ? HALF_CLOSED_MS : doublings === 0 ? PROBE_MS : HALF_CLOSED_MS * 2 ** (doublings - 1))
  }

  /** A request is here. */
  request(): void {
    this.clock.stop()
  }

  /** A body is awaited, and would be taken. */
  body(): void {
    this.bodyClock.start(this.settings.bodyTimeoutMs)
  }

  drop(): void {
    this.bodyClock.start(DROP_MS)
  }

  bodyMoved(): void {
    this.bodyClock.touch()
  }

  bodyRests(): void {
    this.bodyClock.stop()
  }

  /** The client does not take its answer. */
  send(): void {
    if (this.sendClock.isArmed) return
    this.pendingBytes = this.wire.pendingBytes
    this.sendClock.start(this.settings.sendTimeoutMs)
  }

  sent(): void {
    this.sendClock.stop()
  }

  stop(): void {
    this.clock.stop()
    this.bodyClock.stop()
    this.sendClock.stop()
    this.halfClosedStream = null
  }

  expired(delay: Delay): void {
    if (delay === this.sendClock) {
      // A client that takes some of it, however slowly, is no stalled one.
      if (this.wire.pendingBytes < this.pendingBytes) this.send()
      else this.limited.lose('stalled')
    } else if (delay === this.bodyClock) this.limited.bodyExpired?.()
    else if (this.halfClosedStream === null) this.limited.headExpired?.()
    else this.halfClosedExpired(this.halfClosedStream)
  }

  private halfClosedExpired(stream: Http1ClientStream): void {
    if (this.isProbing || stream.sent !== this.sentBytes || stream.isHeld) this.lookAt(stream)
    else this.limited.lose('closed')
  }
}
