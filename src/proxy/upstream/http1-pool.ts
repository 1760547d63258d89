// The HTTP/1.1 connections to one endpoint: kept ones are used again, the youngest first; what must wait waits in a bounded line.
//
// open ─► an idle connection ─► at once
//      └► the line ─► a new connection, where there may be one more ─► opened
//                 └► the next one that becomes idle
import type { EndpointAddress } from '../../core/spec.js'
import { type ConnectionPool, Http1ClientConnection } from '../http1/client-connection.js'
import { Http1UpstreamStream, type StreamPool } from '../http1/client-stream.js'
import type { UpstreamEvents, UpstreamHead, UpstreamPool, UpstreamStream } from '../stream.js'
import { Wire } from '../wire.js'
import type { PoolLimits } from './limits.js'

/** Attempts that wait for a connection. */
const MAX_WAITING = 1024
/** A burst is not all opened at once: the first ones serve the next requests, too. */
const MAX_CONNECTING = 64
/** Begun in one turn: each takes some 100 us of it. */
const MAX_BEGUN = 8

export class Http1Pool implements UpstreamPool, ConnectionPool, StreamPool {
  readonly limits: PoolLimits
  private readonly address: EndpointAddress
  private readonly idles: Http1ClientConnection[] = []
  private readonly connecting: Http1ClientConnection[] = []
  private readonly waiting: Http1UpstreamStream[] = []
  private connections = 0
  private attempts = 0
  private isRetired = false
  private isGrowthPlanned = false
  /** Connections, since growth was planned last. */
  private begun = 0

  constructor(address: EndpointAddress, limits: PoolLimits) {
    this.address = address
    this.limits = limits
  }

  get load(): number {
    return this.attempts
  }

  open(head: UpstreamHead, events: UpstreamEvents, connectTimeoutMs: number): UpstreamStream {
    const stream = new Http1UpstreamStream(head, events, this, connectTimeoutMs)
    this.attempts++
    const kept = this.idles.pop()
    if (kept !== undefined) {
      kept.begin(stream)
    } else if (this.waiting.length >= MAX_WAITING) {
      const message = `${MAX_WAITING} requests wait for one of ${this.connections} connections`
      setImmediate(() => stream.fail({ code: 'REQUEST_QUEUE_FULL', message, again: 'unsent' }))
    } else {
      this.waiting.push(stream)
      stream.wait()
      this.planGrowth()
    }
    return stream
  }

  retire(): void {
    this.isRetired = true
    while (this.idles.length > 0) this.idles.pop()!.drop()
  }

  // What connections report.

  connected(connection: Http1ClientConnection): void {
    remove(this.connecting, connection)
    this.idle(connection)
    this.grow()
  }

  idle(connection: Http1ClientConnection): void {
    const stream = this.waiting.shift()
    if (stream !== undefined) {
      connection.begin(stream)
      stream.events?.opened()
    } else if (this.isRetired) connection.drop()
    else {
      this.idles.push(connection)
      connection.rest()
    }
  }

  refused(connection: Http1ClientConnection, error: Error | null): void {
    this.connections--
    remove(this.connecting, connection)
    this.waiting.shift()?.fail({ code: 'UPSTREAM_UNREACHABLE', message: messageOf(error), again: 'unsent' })
    this.grow()
  }

  gone(connection: Http1ClientConnection): void {
    this.connections--
    remove(this.idles, connection)
    remove(this.connecting, connection)
    this.grow()
  }

  // What streams report.

  unqueue(stream: Http1UpstreamStream): void {
    remove(this.waiting, stream)
    // A connection that nobody waits for any more may hang for long: the youngest goes.
    if (this.connecting.length > this.waiting.length) this.connecting.pop()!.drop()
  }

  over(): void {
    this.attempts--
  }

  waitExpired(stream: Http1UpstreamStream): void {
    const isConnecting = this.connecting.length > 0
    this.unqueue(stream)
    // A busy endpoint is not a sick one.
    const [code, what] = isConnecting
      ? (['UPSTREAM_UNREACHABLE', 'no connection'] as const)
      : (['REQUEST_QUEUE_FULL', `none of ${this.connections} connections was free`] as const)
    stream.fail({ code, message: `${what} within ${stream.waitMs} ms`, again: 'unsent' })
  }

  /** At the end of the turn: a request that is cancelled in the read that brought it opens no connection (rapid reset before an HTTP/1.1 service). */
  private planGrowth(): void {
    if (this.isGrowthPlanned) return
    this.isGrowthPlanned = true
    setImmediate(() => {
      this.isGrowthPlanned = false
      this.begun = 0
      this.grow()
    })
  }

  /** A connection on its way for everyone who waits, as far as the limits go. */
  private grow(): void {
    const most = this.limits.maxConnections || Number.POSITIVE_INFINITY
    const wanted = Math.min(this.waiting.length, MAX_CONNECTING)
    while (this.connecting.length < wanted && this.connections < most) {
      if (this.begun === MAX_BEGUN) {
        this.planGrowth()
        return
      }
      this.begun++
      const wire = Wire.open(this.address, () => connection.connected())
      const connection: Http1ClientConnection = new Http1ClientConnection(this, wire)
      this.connections++
      this.connecting.push(connection)
    }
  }
}

function remove<T>(list: T[], item: T): void {
  const at = list.lastIndexOf(item)
  if (at !== -1) list.splice(at, 1)
}

/** The system's words; for a name with several addresses those about the first. */
function messageOf(error: Error | null): string {
  if (error === null) return 'the connection was closed before it was there'
  const first = error instanceof AggregateError ? (error.errors[0] as Error | undefined) : undefined
  return first?.message || error.message || error.name
}
