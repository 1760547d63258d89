// The request body on its way up: pumped with back-pressure, its beginning kept so that an attempt that was never begun can be repeated.
import type { Readable, Writable } from 'node:stream'
import type { Fields } from '../core/headers.js'
import type { UpstreamCall } from './message.js'

// gRPC's own retry buffer has the same order of size (A6); beyond it a request is sent once.
export const REPLAY_BYTES = 64 * 1024

export class RequestBody {
  bytes = 0
  private readonly source: Readable
  private readonly trailers: () => Fields
  private readonly moved: () => void
  private kept: Buffer[] | null = []
  private sink: Writable | null = null
  private target: UpstreamCall | null = null
  private ended = false
  private started = false

  /** moved: called whenever bytes come from the client. */
  constructor(source: Readable, trailers: () => Fields, moved: () => void) {
    this.source = source
    this.trailers = trailers
    this.moved = moved
  }

  /** May the whole of what came so far be sent once more? */
  get replayable(): boolean {
    return this.kept !== null
  }

  get complete(): boolean {
    return this.ended
  }

  /** Sends the body to this attempt, from its first byte on. */
  sendTo(call: UpstreamCall): void {
    this.target = call
    this.sink = call.body
    call.body.on('drain', () => {
      if (this.sink === call.body) this.source.resume()
    })
    for (const chunk of this.kept ?? []) call.body.write(chunk)
    if (this.ended) this.finish()
    else if (this.started) this.source.resume()
    else this.start()
  }

  /** The attempt is over; what still comes from the client waits for the next one. */
  detach(): void {
    this.target = null
    this.sink = null
    if (this.started && !this.ended) this.source.pause()
  }

  /** The answer has begun: nothing will be repeated. */
  forget(): void {
    this.kept = null
  }

  /** Reads on without a receiver, so that the connection can be used again. */
  discard(): void {
    this.forget()
    this.target = null
    this.sink = null
    if (!this.started) this.start()
    this.source.resume()
  }

  private start(): void {
    this.started = true
    this.source.on('data', (chunk: Buffer) => this.take(chunk))
    this.source.on('end', () => {
      this.ended = true
      this.finish()
    })
    // What goes wrong here shows as the client's leaving; see ClientCall.onGone.
    this.source.on('error', () => {})
  }

  private take(chunk: Buffer): void {
    this.bytes += chunk.length
    this.moved()
    if (this.kept !== null) {
      if (this.bytes <= REPLAY_BYTES) this.kept.push(chunk)
      else this.kept = null
    }
    if (this.sink !== null && !this.sink.write(chunk)) this.source.pause()
  }

  private finish(): void {
    this.target?.end(this.trailers())
  }
}
