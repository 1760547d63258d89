// One port, two protocols: the first bytes of a connection say whether it speaks h2c or HTTP/1.1.
import { createServer, type Server, type Socket } from 'node:net'
import { Delay, type Expiring } from './delays.js'
import { Wire, type WireOwner } from './wire.js'

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/** A client's connection, once its protocol is known. */
export interface Connection extends WireOwner {
  /** Answers what runs, takes nothing new. */
  drain(): void
}

export interface ListenerOptions {
  maxConnections: number
  /** A connection that has not said enough by then is closed. */
  firstBytesMs: number
  /** Makes the codec; `closed` is called when the connection is gone. */
  http1(wire: Wire, closed: () => void): Connection
  http2(wire: Wire, closed: () => void): Connection
  /** The socket cannot be listened on. */
  failed(error: Error): void
}

export class Listener {
  private readonly options: ListenerOptions
  private readonly server: Server
  private readonly visits = new Set<Visit>()
  private isDraining = false
  private whenEmpty: (() => void) | null = null

  constructor(options: ListenerOptions) {
    this.options = options
    // Paused: the wire reads by its own means from the first byte on.
    this.server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, socket => this.accept(socket))
    this.server.maxConnections = options.maxConnections
    this.server.on('error', error => options.failed(error))
  }

  /** handle: a bound socket as it comes out of the IPC channel. */
  listen(handle: unknown, listening: () => void): void {
    this.server.listen(handle as object, listening)
  }

  /** Accepts nothing more; calls back when the last connection is gone. */
  drain(empty: () => void): void {
    this.isDraining = true
    this.whenEmpty = empty
    this.server.close()
    for (const visit of this.visits) visit.connection?.drain()
    this.tellEmpty()
  }

  destroyAll(): void {
    for (const visit of this.visits) visit.wire.destroy()
  }

  private accept(socket: Socket): void {
    const visit = new Visit(Wire.accepted(socket), this.options, {
      known: connection => {
        if (this.isDraining) connection.drain()
      },
      closed: () => {
        this.visits.delete(visit)
        this.tellEmpty()
      },
    })
    this.visits.add(visit)
  }

  private tellEmpty(): void {
    if (this.visits.size > 0 || this.whenEmpty === null) return
    this.whenEmpty()
    this.whenEmpty = null
  }
}

interface VisitEvents {
  known(connection: Connection): void
  closed(): void
}

/** A connection from its first byte on: reads until the protocol is certain, then hands the wire and the bytes to its codec. */
class Visit implements WireOwner, Expiring {
  readonly wire: Wire
  connection: Connection | null = null
  private readonly options: ListenerOptions
  private readonly events: VisitEvents
  private readonly limit = new Delay(this)
  /** Bytes of the preface that have come. */
  private seen = 0

  constructor(wire: Wire, options: ListenerOptions, events: VisitEvents) {
    this.wire = wire
    this.options = options
    this.events = events
    wire.owner = this
    this.limit.start(options.firstBytesMs)
  }

  received(chunk: Buffer, start: number, end: number): void {
    const fresh = Math.min(end - start, PREFACE.length - this.seen)
    const fits = PREFACE.compare(chunk, start, start + fresh, this.seen, this.seen + fresh) === 0
    if (fits && this.seen + fresh < PREFACE.length) {
      this.seen += fresh
      return
    }
    this.limit.stop()
    const { wire, options, seen } = this
    this.connection = fits ? options.http2(wire, this.events.closed) : options.http1(wire, this.events.closed)
    wire.owner = this.connection
    // What came before this chunk was a beginning of the preface.
    if (seen > 0) this.connection.received(PREFACE, 0, seen)
    this.connection.received(chunk, start, end)
    this.events.known(this.connection)
  }

  ended(): void {
    this.wire.destroy()
  }

  closed(): void {
    this.limit.stop()
    this.events.closed()
  }

  writable(): void {}

  expired(): void {
    this.wire.destroy()
  }
}
