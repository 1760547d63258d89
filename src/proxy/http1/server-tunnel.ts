// A client's connection after 101: bytes both ways until both directions have ended, each by itself.
import type { ServerOptions } from '../server-options.js'
import type { Wire, WireOwner } from '../wire.js'
import type { EarlyBytes } from './early-bytes.js'
import { Lingering } from './lingering.js'
import type { ReadCredit } from './read-credit.js'
import { type Limited, ServerLimits } from './server-limits.js'
import type { AnswerCarrier, Http1ClientStream } from './server-stream.js'

export interface TunnelParts {
  wire: Wire
  stream: Http1ClientStream
  options: ServerOptions
  credit: ReadCredit
  /** What the client sent before its 101. */
  early: EarlyBytes
}

/** Takes the wire over. */
export class ServerTunnel implements WireOwner, AnswerCarrier, Limited {
  private readonly wire: Wire
  private readonly options: ServerOptions
  private readonly credit: ReadCredit
  private readonly early: EarlyBytes
  private readonly limits: ServerLimits
  private stream: Http1ClientStream | null
  /** Early bytes are delivered in a turn of their own: nothing is reported from within `sendHead`. */
  private isStarted = false
  private clientEnded = false

  constructor(parts: TunnelParts) {
    const { wire, stream, options, credit, early } = parts
    this.wire = wire
    this.stream = stream
    this.options = options
    this.credit = credit
    this.early = early
    this.limits = new ServerLimits(this, wire, options.settings)
    credit.ahead = 0
    wire.owner = this
    setImmediate(() => this.start())
  }

  received(chunk: Buffer, start: number, end: number): void {
    if (this.isStarted) this.deliver(chunk, start, end)
    else this.early.append(chunk, start, end)
  }

  ended(): void {
    this.clientEnded = true
    if (!this.isStarted) return
    this.stream?.events?.requestEnd([])
    if (this.stream?.hasEnded) this.stream.over()
  }

  writable(): void {
    this.limits.sent()
    this.stream?.writable()
  }

  closed(error: Error | null): void {
    this.leave()?.clientGone(error === null ? 'closed' : 'reset')
    this.options.closed()
  }

  held(): void {
    this.limits.send()
  }

  granted(bytes: number): void {
    this.credit.ahead -= bytes
    if (!this.credit.isSpent && this.isStarted) this.credit.resume()
  }

  /** The service's direction has ended. */
  finished(stream: Http1ClientStream): void {
    this.limits.sent()
    this.wire.end()
    if (this.clientEnded && this.isStarted) stream.over()
  }

  /** Both directions have. */
  answered(): void {
    if (this.stream === null) return
    this.leave()
    this.credit.resume()
    new Lingering(this.wire, this.options)
  }

  reset(): void {
    this.leave()
    this.wire.reset()
  }

  lose(why: 'stalled' | 'closed'): void {
    const events = this.leave()
    this.wire.reset()
    events?.clientGone(why)
  }

  private start(): void {
    if (this.stream === null) return
    this.isStarted = true
    this.credit.resume()
    const early = this.early.take()
    if (early.length > 0) this.deliver(early, 0, early.length)
    if (this.clientEnded) this.ended()
  }

  private deliver(chunk: Buffer, start: number, end: number): void {
    const { credit } = this
    credit.ahead += end - start
    this.stream?.events?.requestData(chunk, start, end)
    if (credit.isSpent && this.stream !== null) credit.pause()
  }

  private leave() {
    const events = this.stream?.abandon()
    this.stream = null
    this.early.clear()
    this.limits.stop()
    return events
  }
}
