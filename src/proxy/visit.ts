// A client's connection from its first byte until its protocol is certain: the PROXY header where there must be one, then the first bytes.
import { readProxyHeader } from '../core/proxy-header.js'
import { Delay, type Expiring } from './delays.js'
import type { Guest } from './guests.js'
import { PREFACE } from './http2/frames.js'
import type { Wire, WireOwner } from './wire.js'

const SURELY_HTTP2 = 'PRI *'.length
const TLS_HANDSHAKE = 0x16

/** A client's connection, once its protocol is known. */
export interface Connection extends WireOwner {
  /** Answers what runs, takes nothing new. */
  drain(): void
}

export interface VisitOptions {
  /** A connection that has not said enough by then is closed. */
  firstBytesMs: number
  proxyHeader: 'none' | 'required'
  /** Makes the codec; `closed` is called when the connection is gone. */
  http1(wire: Wire, closed: () => void): Connection
  http2(wire: Wire, closed: () => void): Connection
}

export interface VisitEvents {
  /** The codec has taken over. */
  known(visit: Visit): void
  closed(visit: Visit): void
}

export class Visit implements WireOwner, Expiring {
  readonly wire: Wire
  readonly guest: Guest
  connection: Connection | null = null
  private readonly options: VisitOptions
  private readonly events: VisitEvents
  private readonly limit = new Delay(this)
  private phase: 'header' | 'first bytes' | 'known'
  /** A PROXY header that is not complete yet. */
  private header: Buffer = Buffer.alloc(0)
  /** Bytes of HTTP/2's preface that have come. */
  private seen = 0

  constructor(wire: Wire, guest: Guest, options: VisitOptions, events: VisitEvents) {
    this.wire = wire
    this.guest = guest
    this.options = options
    this.events = events
    this.phase = options.proxyHeader === 'required' ? 'header' : 'first bytes'
    wire.owner = this
    this.limit.start(options.firstBytesMs)
  }

  received(chunk: Buffer, start: number, end: number): void {
    if (this.phase === 'header') this.readHeader(chunk, start, end)
    else this.readFirst(chunk, start, end)
  }

  ended(): void {
    this.wire.destroy()
  }

  closed(): void {
    this.limit.stop()
    this.events.closed(this)
  }

  writable(): void {}

  expired(): void {
    this.wire.destroy()
  }

  private readHeader(chunk: Buffer, start: number, end: number): void {
    this.header = Buffer.concat([this.header, chunk.subarray(start, end)])
    const header = readProxyHeader(this.header)
    if (header.kind === 'more') return
    if (header.kind === 'header') {
      if (header.address !== null) this.wire.remoteAddress = header.address
      this.phase = 'first bytes'
      if (this.guest.named(this.wire.remoteAddress)) {
        const rest = this.header
        if (rest.length > header.length) this.readFirst(rest, header.length, rest.length)
        return
      }
    }
    // Whoever is not the proxy that we were told of gets no answer: it could take one for a service's.
    this.wire.destroy()
  }

  private readFirst(chunk: Buffer, start: number, end: number): void {
    if (this.seen === 0 && chunk[start] === TLS_HANDSHAKE) {
      // A hello on the plaintext port: whoever speaks TLS could read no answer of ours.
      this.wire.destroy()
      return
    }
    const earlier = this.seen
    let at = start
    while (at < end && this.seen < PREFACE.length && chunk[at] === PREFACE[this.seen]) {
      at++
      this.seen++
    }
    if (at === end && this.seen < PREFACE.length) return
    // Once this much fits it means HTTP/2, and HTTP/2 says what is wrong with the rest.
    const connection = this.know(this.seen >= SURELY_HTTP2 ? 'http2' : 'http1')
    // What came in earlier chunks was a beginning of the preface.
    if (earlier > 0) connection.received(PREFACE, 0, earlier)
    connection.received(chunk, start, end)
    this.events.known(this)
  }

  private know(protocol: 'http1' | 'http2'): Connection {
    this.phase = 'known'
    this.limit.stop()
    const connection = this.options[protocol](this.wire, () => this.events.closed(this))
    this.connection = connection
    this.wire.owner = connection
    return connection
  }
}
