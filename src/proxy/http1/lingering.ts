// A client's connection behind its last answer: our end is sent, and what still comes is dropped for a while.
//
// Without this, unread bytes would turn the close into a reset, and the client could lose the answer that tells it why (RFC 9112 9.6).
import { Delay, type Expiring } from '../delays.js'
import type { ServerOptions } from '../server-options.js'
import type { Wire, WireOwner } from '../wire.js'

const LINGER_BYTES = 256 * 1024
const LINGER_MS = 1000

/** Takes the wire over. */
export class Lingering implements WireOwner, Expiring {
  private readonly wire: Wire
  private readonly options: ServerOptions
  private readonly clock = new Delay(this)
  private dropped = 0
  private looks = 0

  constructor(wire: Wire, options: ServerOptions) {
    this.wire = wire
    this.options = options
    wire.owner = this
    wire.end()
    this.clock.start(LINGER_MS)
  }

  received(_chunk: Buffer, start: number, end: number): void {
    this.dropped += end - start
    if (this.dropped > LINGER_BYTES) this.wire.destroy()
  }

  ended(): void {
    // The socket closes by itself when both directions have ended and all is sent.
  }

  writable(): void {
    // Nothing more is written.
  }

  closed(): void {
    this.clock.stop()
    this.options.closed()
  }

  expired(): void {
    // An answer that is written may still be on its way, as slowly as answers may be.
    if (this.wire.pendingBytes === 0 || ++this.looks * LINGER_MS > this.options.settings.sendTimeoutMs) this.wire.destroy()
    else this.clock.start(LINGER_MS)
  }
}
