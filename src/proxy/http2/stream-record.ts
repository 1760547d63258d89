// The record of one stream, the only object it has on its connection: what both roles need to know of it.
import type { Fields } from '../../core/headers.js'
import type { Delay, Expiring } from '../delays.js'
import { WINDOW_BYTES } from '../stream.js'
import { ByteQueue } from './byte-queue.js'
import { type NeverIndexed, NOTHING_MARKED } from './hpack/never-indexed.js'

export abstract class StreamRecord implements Expiring {
  /** 0: not opened yet. */
  id: number
  /** The peer has sent END_STREAM. */
  isRemoteEnded = false
  /** Our END_STREAM is in the connection's output. */
  isLocalEnded = false
  /** Reset by either side, or ended by both: the connection knows it no more. */
  isClosed = false

  /** What the peer may still send. */
  receiveWindow = WINDOW_BYTES
  /** What came and has not been granted. */
  ungranted = 0
  /** Granted, and not yet told to the peer. */
  unannounced = 0
  /** What of the announced content-length is still to come; -1: it announced none. */
  lengthLeft = -1

  /** What we send comes from where these names are marked. */
  sendsNeverIndexed: NeverIndexed = NOTHING_MARKED
  /** What the peer takes of us: negative after it has made its windows smaller. */
  sendWindow = 0
  /** Where the head of our last DATA frame is in the connection's output, while that has been flushed so many times. */
  dataAt = -1
  dataFlush = -1
  /** What has to wait for a window or for the connection, in this order; null, null, null: nothing waits. */
  heldHead: Fields | null = null
  heldHeadFlag = 0
  held: ByteQueue | null = null
  heldEnd: Fields | null = null
  /** In the connection's line of those that could send if only it could. */
  isInLine = false
  nextInLine: StreamRecord | null = null
  /** Of the connection's table. */
  nextInBucket: StreamRecord | null = null

  constructor(id: number) {
    this.id = id
  }

  get isHolding(): boolean {
    return this.held !== null || this.heldEnd !== null || this.heldHead !== null
  }

  hold(chunk: Buffer, start: number, end: number): void {
    this.held ??= new ByteQueue()
    this.held.push(chunk, start, end)
  }

  /** Bytes of the peer's body, within its window and its content-length. */
  abstract received(chunk: Buffer, start: number, end: number): void
  /** END_STREAM on DATA. */
  abstract receivedEnd(): void
  /** So many bytes of ours are in the connection's output. */
  abstract hasSent(bytes: number): void
  /** Our END_STREAM is in the connection's output. */
  abstract hasSentEnd(): void
  /** Something has begun to wait, or no longer does. */
  abstract holdingBegan(): void
  abstract holdingEnded(): void
  abstract expired(delay: Delay): void
}
