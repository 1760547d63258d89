// HTTP/2 connections to one endpoint: as few as will do, many streams on each, and a line for what finds no stream free.
import type { EndpointAddress } from '../../core/spec.js'
import { ClientConnection, type ClientConnectionOwner } from '../http2/client-connection.js'
import { type AttemptOwner, Http2Attempt } from '../http2/client-stream.js'
import { unreachable } from '../http2/upstream-failures.js'
import type { Failure, UpstreamEvents, UpstreamHead, UpstreamPool, UpstreamStream } from '../stream.js'
import type { PoolLimits } from './limits.js'

/** So many streams share a connection before another is opened: one TCP connection is one line of waiting, but batches well. */
const BUSY_STREAMS = 100
/** Connections that are opened for speed… */
const MAX_FOR_SPEED = 4
/** …and, where nobody says otherwise, because the peer allows too few streams on each. */
const MAX_FOR_STREAMS = 64
/** Attempts that may wait for a stream. */
const MAX_WAITING = 10_000
const QUEUE_FULL: Failure = { code: 'REQUEST_QUEUE_FULL', message: `${MAX_WAITING} requests wait for a stream`, again: 'unsent' }
const RETIRED = 'the endpoint was taken out of the route table'

export class Http2Pool implements UpstreamPool, ClientConnectionOwner, AttemptOwner {
  private readonly address: EndpointAddress
  private readonly limits: PoolLimits
  /** Those that take streams, or will when they are ready; the oldest first. */
  private readonly connections: ClientConnection[] = []
  /** In order; those that were given up stay until their turn. */
  private readonly waiting: Http2Attempt[] = []
  private waitingCount = 0
  private streams = 0
  private isRetired = false
  /** Of the last connection that could not be had. */
  private setupMs = 0

  constructor(address: EndpointAddress, limits: PoolLimits) {
    this.address = address
    this.limits = limits
  }

  get load(): number {
    return this.streams + this.waitingCount
  }

  open(head: UpstreamHead, events: UpstreamEvents, connectTimeoutMs: number): UpstreamStream {
    const attempt = new Http2Attempt(head, events, this)
    this.setupMs = connectTimeoutMs
    const connection = this.waitingCount > 0 ? null : this.pick()
    if (connection !== null) {
      this.streams++
      const failure = connection.begin(attempt)
      if (failure !== null) {
        this.streams--
        failSoon(attempt, failure)
      }
      return attempt
    }
    if (this.isRetired || this.waitingCount >= MAX_WAITING) {
      failSoon(attempt, this.isRetired ? unreachable(RETIRED) : QUEUE_FULL)
      return attempt
    }
    this.waiting.push(attempt)
    this.waitingCount++
    attempt.wait(connectTimeoutMs)
    this.grow()
    return attempt
  }

  retire(): void {
    if (this.isRetired) return
    this.isRetired = true
    for (const connection of [...this.connections]) if (connection.isReady) connection.leave()
    if (this.connections.length === 0) this.failWaiting(unreachable(RETIRED))
  }

  /** The first connection that is not busy; else the least busy one, while another is opened.  null: none takes a stream now. */
  private pick(): ClientConnection | null {
    let best: ClientConnection | null = null
    for (let at = 0; at < this.connections.length; at++) {
      const connection = this.connections[at]!
      if (!connection.canTake) continue
      if (connection.streams.size < BUSY_STREAMS && !connection.isJammed) return connection
      if (best === null || connection.streams.size < best.streams.size) best = connection
    }
    if (best !== null && this.connections.length < Math.min(MAX_FOR_SPEED, this.maxConnections)) this.grow()
    return best
  }

  private get maxConnections(): number {
    return this.limits.maxConnections > 0 ? this.limits.maxConnections : MAX_FOR_STREAMS
  }

  /** Opens one more connection, unless those on their way will do. */
  private grow(): void {
    if (this.isRetired || this.connections.length >= this.maxConnections) return
    let connecting = 0
    for (const connection of this.connections) if (connection.isConnecting) connecting++
    if (connecting > 0 && connecting * BUSY_STREAMS >= this.waitingCount) return
    this.connections.push(ClientConnection.open(this.address, this.limits, this, this.setupMs))
  }

  hasRoom(connection: ClientConnection): void {
    while (this.waiting.length > 0 && connection.canTake) {
      const attempt = this.waiting.shift()!
      if (!attempt.isWaiting) continue
      this.waitingCount--
      attempt.waitOver()
      this.streams++
      const failure = connection.begin(attempt)
      if (failure === null) attempt.events.opened()
      else {
        this.streams--
        attempt.fail(failure)
      }
    }
    if (this.isRetired && this.waitingCount === 0) connection.leave()
    if (this.waitingCount > 0) this.grow()
  }

  streamEnded(connection: ClientConnection): void {
    this.streams--
    if (this.waitingCount > 0 && connection.canTake) this.hasRoom(connection)
  }

  leaves(connection: ClientConnection): void {
    const at = this.connections.indexOf(connection)
    if (at !== -1) this.connections.splice(at, 1)
    // A replacement at once, where this one was in use: the next call must not wait for it (rule 19).
    if (connection.hasSpoken && this.connections.length === 0 && connection.streams.size + this.waitingCount > 0) this.grow()
  }

  failedToOpen(_connection: ClientConnection, failure: Failure): void {
    // While others live or are on their way, what waits has a chance with them.
    if (this.connections.length === 0) this.failWaiting(failure)
  }

  waitEnded(attempt: Http2Attempt, why: 'cancelled' | 'expired'): void {
    this.waitingCount--
    attempt.waitOver()
    if (this.waitingCount === 0) this.waiting.length = 0
    if (why === 'expired') attempt.fail(this.waitedInVain())
  }

  /** A busy endpoint is not a sick one. */
  private waitedInVain(): Failure {
    const ready = this.connections.filter(connection => connection.isReady).length
    if (ready === 0) return unreachable(`no HTTP/2 connection within ${this.setupMs} ms`)
    return { code: 'REQUEST_QUEUE_FULL', message: `no stream was free in time on ${ready} connections`, again: 'unsent' }
  }

  private failWaiting(failure: Failure): void {
    const attempts = this.waiting.filter(attempt => attempt.isWaiting)
    this.waiting.length = 0
    this.waitingCount = 0
    for (const attempt of attempts) attempt.waitOver()
    for (const attempt of attempts) attempt.fail(failure)
  }
}

/** Not from within `open`: whoever called it does not know the attempt yet. */
function failSoon(attempt: Http2Attempt, failure: Failure): void {
  setImmediate(() => attempt.fail(failure))
}
