// One attempt at a service over HTTP/2: a request that waits for a stream, has one, or has ended.
// What a call costs stands in connection.ts.
import type { Fields } from '../../core/headers.js'
import { Delay } from '../delays.js'
import type { Failure, UpstreamEvents, UpstreamHead, UpstreamStream } from '../stream.js'
import type { ClientConnection } from './client-connection.js'
import { CODE } from './frames.js'
import { type NeverIndexed, NOTHING_MARKED } from './hpack/never-indexed.js'
import { StreamRecord } from './stream-record.js'

const NO_TRAILERS: Fields = []

/** Whoever has the attempts that wait. */
export interface AttemptOwner {
  /** Waits no more: given up, or waited for too long. */
  waitEnded(attempt: Http2Attempt, why: 'cancelled' | 'expired'): void
}

export class Http2Attempt extends StreamRecord implements UpstreamStream {
  readonly head: UpstreamHead
  readonly events: UpstreamEvents
  readonly owner: AttemptOwner
  connection: ClientConnection | null = null
  isOpen = false
  /** The head of the answer came. */
  hasHead = false
  /** Nothing is reported any more. */
  isOver = false
  /** How often the connection's output had been handed over when our head was written: until it is again, nothing has left. */
  headFlush = -1
  /** Runs while it waits for a connection or a free stream. */
  private waitDelay: Delay | null = null

  constructor(head: UpstreamHead, events: UpstreamEvents, owner: AttemptOwner) {
    super(0)
    this.head = head
    this.events = events
    this.owner = owner
    this.sendsNeverIndexed = head.neverIndexed
  }

  get neverIndexed(): NeverIndexed {
    return this.connection === null ? NOTHING_MARKED : this.connection.neverIndexed
  }

  /** No stream is free now. */
  wait(limitMs: number): void {
    this.waitDelay = new Delay(this)
    this.waitDelay.start(limitMs)
  }

  get isWaiting(): boolean {
    return this.waitDelay?.isArmed === true
  }

  waitOver(): void {
    this.waitDelay?.stop()
  }

  sendData(chunk: Buffer, start: number, end: number): void {
    if (this.isOpen && !this.isClosed && !this.isLocalEnded && end > start) this.connection!.output.data(this, chunk, start, end)
  }

  sendEnd(trailers: Fields): void {
    if (this.isOpen && !this.isClosed && !this.isLocalEnded) this.connection!.output.end(this, trailers)
  }

  cancel(): void {
    this.isOver = true
    if (this.isOpen) this.connection!.giveUp(this)
    else if (this.isWaiting) this.owner.waitEnded(this, 'cancelled')
  }

  grant(bytes: number): void {
    if (this.isOpen) this.connection!.grant(this, bytes)
  }

  received(chunk: Buffer, start: number, end: number): void {
    const isTooMuch = this.lengthLeft >= 0 && this.lengthLeft < end - start
    if (isTooMuch || !this.hasHead) {
      this.connection!.streamFault(this, CODE.PROTOCOL_ERROR)
      return
    }
    if (this.lengthLeft > 0) this.lengthLeft -= end - start
    this.events.answerData(chunk, start, end)
  }

  receivedEnd(): void {
    if (this.hasHead) this.answerDone(NO_TRAILERS)
    else this.connection!.streamFault(this, CODE.PROTOCOL_ERROR)
  }

  /** The answer is complete, if its content-length agrees. */
  answerDone(trailers: Fields): void {
    if (this.lengthLeft > 0) {
      this.connection!.streamFault(this, CODE.PROTOCOL_ERROR)
      return
    }
    this.remoteDone()
    this.events.answerEnd(trailers)
  }

  remoteDone(): void {
    this.isRemoteEnded = true
    if (this.isLocalEnded) this.connection!.forget(this)
  }

  fail(failure: Failure): void {
    if (this.isOver) return
    this.isOver = true
    // Its answer is complete, and stands; a tunnel's other direction has failed.
    if (!this.isRemoteEnded || this.head.upgrade !== null) this.events.failed(failure)
  }

  hasSent(bytes: number): void {
    if (!this.isOver) this.events.requestDrained(bytes)
  }

  hasSentEnd(): void {
    if (this.isRemoteEnded) this.connection!.forget(this)
  }

  holdingBegan(): void {}

  holdingEnded(): void {}

  expired(): void {
    this.owner.waitEnded(this, 'expired')
  }
}
