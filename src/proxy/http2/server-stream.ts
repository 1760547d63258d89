// One request of a client over HTTP/2.
// What a call costs stands in connection.ts.  Time limits exist only for a stream that has to wait: a unary call makes none.
import type { Fields } from '../../core/headers.js'
import { Delay } from '../delays.js'
import { type ClientEvents, type ClientStream, type RequestHead, WINDOW_BYTES } from '../stream.js'
import { CODE, FLAG } from './frames.js'
import type { NeverIndexed } from './hpack/never-indexed.js'
import type { ServerConnection } from './server-connection.js'
import { StreamRecord } from './stream-record.js'

const NO_TRAILERS: Fields = []

export class ServerStream extends StreamRecord implements ClientStream {
  readonly head: RequestHead
  events: ClientEvents | null = null
  private readonly connection: ServerConnection
  private isHeadSent = false
  /** Its 101 is sent: each direction ends by itself. */
  private isTunnel = false
  /** Runs while the request body stands still; there only where it did not come with its head. */
  private bodyDelay: Delay | null = null
  /** Runs while something of the answer waits for the client. */
  private sendDelay: Delay | null = null

  constructor(connection: ServerConnection, id: number, head: RequestHead) {
    super(id)
    this.connection = connection
    this.head = head
    this.isRemoteEnded = head.bodyless
    this.lengthLeft = head.contentLength
    this.sendWindow = connection.output.initialWindow
  }

  /** Has whoever serves it something to wait for? */
  get isServed(): boolean {
    return !this.isLocalEnded || (this.isTunnel && !this.isRemoteEnded)
  }

  keepNeverIndexed(names: NeverIndexed): void {
    this.sendsNeverIndexed = names
  }

  /** 101 is HTTP/1's (RFC 9113 8.6). */
  sendInformational(status: number, fields: Fields): void {
    if (this.isClosed || this.isHeadSent || status === 101 || this.connection.wire.isBlocked) return
    this.connection.output.head(this.id, [':status', String(status), ...fields], 0, this.sendsNeverIndexed)
  }

  sendHead(status: number, fields: Fields, end: 'now' | 'later'): void {
    if (this.isClosed || this.isHeadSent) return
    this.isHeadSent = true
    // An exchange that is answered has limits of its own; a call whose client is silent for long is none that dribbles its body.
    this.bodyDelay?.stop()
    const { output } = this.connection
    this.isTunnel = status === 101
    if (this.isTunnel) output.answerHead(this, '200', withoutAccept(fields), 0)
    else output.answerHead(this, String(status), fields, end === 'now' ? FLAG.END_STREAM : 0)
  }

  sendData(chunk: Buffer, start: number, end: number): void {
    if (!this.isClosed && !this.isLocalEnded && end > start) this.connection.output.data(this, chunk, start, end)
  }

  sendEnd(trailers: Fields): void {
    if (!this.isClosed && !this.isLocalEnded) this.connection.output.end(this, trailers)
  }

  sendReset(code: number): void {
    this.connection.resetStream(this, code)
  }

  grant(bytes: number): void {
    this.connection.grant(this, bytes)
  }

  received(chunk: Buffer, start: number, end: number): void {
    if (this.lengthLeft >= 0) {
      this.lengthLeft -= end - start
      if (this.lengthLeft < 0) {
        this.connection.streamFault(this, CODE.PROTOCOL_ERROR)
        return
      }
    }
    if (!this.isServed) {
      this.connection.grant(this, end - start)
      return
    }
    if (this.bodyDelay !== null) this.bodyDelay.touch()
    this.events?.requestData(chunk, start, end)
  }

  receivedEnd(): void {
    this.requestDone(NO_TRAILERS)
  }

  /** The request is complete, if its content-length agrees. */
  requestDone(trailers: Fields): void {
    if (this.lengthLeft > 0) {
      this.connection.streamFault(this, CODE.PROTOCOL_ERROR)
      return
    }
    this.isRemoteEnded = true
    this.bodyDelay?.stop()
    const isAnswered = this.isLocalEnded
    if (isAnswered) this.connection.forget(this)
    if (!isAnswered || this.isTunnel) this.events?.requestEnd(trailers)
    if (isAnswered && this.isTunnel) this.events?.answerSent()
  }

  hasSent(bytes: number): void {
    this.events?.answerDrained(bytes)
  }

  hasSentEnd(): void {
    this.connection.answered(this)
    if (!this.isServed) this.events?.answerSent()
  }

  holdingBegan(): void {
    this.sendDelay ??= new Delay(this)
    if (this.sendDelay.isArmed) this.sendDelay.touch()
    else this.sendDelay.start(this.connection.settings.sendTimeoutMs)
  }

  holdingEnded(): void {
    this.sendDelay?.stop()
  }

  /** The read that brought the head is over, and the body is not. */
  awaitBody(): void {
    // In a tunnel it is the service's turn first.
    if (this.isHeadSent || this.head.upgrade !== null) return
    this.bodyDelay ??= new Delay(this)
    this.bodyDelay.start(this.connection.settings.bodyTimeoutMs)
  }

  expired(delay: Delay): void {
    if (delay !== this.bodyDelay) {
      this.connection.stalled(this)
      return
    }
    // A client that has no room to send is none that stands still.
    if (this.receiveWindow >= WINDOW_BYTES / 2) this.events?.requestFault('REQUEST_TOO_SLOW', 'the body of the request stood still')
    if (!this.isClosed) this.awaitBody()
  }

  /** Nothing of it is on the connection any more. */
  stopDelays(): void {
    if (this.bodyDelay !== null) this.bodyDelay.stop()
    if (this.sendDelay !== null) this.sendDelay.stop()
  }
}

/** The key and its proof are HTTP/1's (RFC 8441 5). */
function withoutAccept(fields: Fields): Fields {
  const out: Fields = []
  for (let at = 0; at < fields.length; at += 2) if (fields[at] !== 'sec-websocket-accept') out.push(fields[at]!, fields[at + 1]!)
  return out
}
