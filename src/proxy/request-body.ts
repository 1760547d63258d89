// The request body on its way up: its beginning is kept, so that an attempt that was never begun can be repeated; credit goes back once per byte.
import { MessageCounter } from '../core/grpc-messages.js'
import { type Fields, fieldValue } from '../core/headers.js'
import type { ClientStream, UpstreamStream } from './stream.js'

// gRPC's own retry buffer has the same order of size (A6); beyond it a request is sent once.
export const REPLAY_BYTES = 64 * 1024

const NO_TRAILERS: Fields = []

export class RequestBody {
  bytes = 0
  isComplete = false
  /** The service has said 100, for which some clients wait. */
  hasContinue = false
  private readonly client: ClientStream
  private readonly isBodyless: boolean
  /** keep: all of it so far is in `kept`.  pass: it only goes by.  drop: nobody reads it. */
  private mode: 'keep' | 'pass' | 'drop' = 'keep'
  private kept: Buffer[] | null = null
  private trailers: Fields = NO_TRAILERS
  private upstream: UpstreamStream | null = null
  private drainedBytes = 0
  private grantedBytes = 0
  /** What a client sends before its tunnel is agreed to is no request body: it waits, or a service without a tunnel would read it as requests. */
  private isTunnelAwaited: boolean
  private readonly kind: 'grpc' | 'http'
  /** Of a gRPC call whose beginning is no longer kept, until it is answered. */
  private messages: MessageCounter | null = null

  constructor(client: ClientStream, kind: 'grpc' | 'http') {
    this.client = client
    this.kind = kind
    this.isTunnelAwaited = client.head.upgrade !== null
    this.isBodyless = client.head.bodyless
    this.isComplete = client.head.bodyless
  }

  /** May the whole of what came so far be sent once more? */
  get isReplayable(): boolean {
    return this.mode === 'keep'
  }

  /** Has all of it left towards the service? */
  get isDelivered(): boolean {
    return this.isComplete && this.drainedBytes >= this.bytes
  }

  /** Nothing has moved for as long as a limit allows (`body`: of the request, `silence`: at all), and there is no answer: is it the client that must
   *  move next?  A gRPC client may pause between its messages for as long as its route allows: who chats thinks.  Not within one; and who has not said
   *  a word until the end has not begun. */
  isAwaited(limit: 'body' | 'silence'): boolean {
    const { bytes, client } = this
    const isTaken = this.upstream === null || this.drainedBytes >= bytes
    if (this.isComplete || !isTaken || client.head.upgrade !== null) return false
    if (this.kind === 'http') return bytes > 0 || this.hasContinue || fieldValue(client.head.fields, 'expect') === undefined
    return (this.messages ?? messagesOf(this.kept)).isMidMessage || (limit === 'silence' && bytes === 0)
  }

  /** Does somebody wait for what comes? */
  get hasReader(): boolean {
    return this.mode !== 'drop'
  }

  data(chunk: Buffer, start: number, end: number): void {
    const size = end - start
    this.bytes += size
    if (this.mode === 'drop') {
      this.client.grant(size)
      return
    }
    if (this.mode === 'keep') this.keep(chunk, start, end)
    this.messages?.add(chunk, start, end)
    if (!this.isTunnelAwaited) this.upstream?.sendData(chunk, start, end)
  }

  end(trailers: Fields): void {
    if (this.isComplete) return
    this.isComplete = true
    this.trailers = trailers
    if (!this.isTunnelAwaited) this.upstream?.sendEnd(trailers)
  }

  /** Sends the body to this attempt, from its first byte on. */
  sendTo(upstream: UpstreamStream): void {
    this.upstream = upstream
    this.drainedBytes = 0
    if (!this.isTunnelAwaited) this.sendKept(upstream)
  }

  /** The answer has begun: nothing will be repeated, and a tunnel that is agreed to takes what waited for it. */
  answered(what: 'answer' | 'tunnel'): void {
    if (what === 'tunnel') {
      this.isTunnelAwaited = false
      this.sendKept(this.upstream!)
    }
    this.forget()
    this.messages = null
  }

  private sendKept(upstream: UpstreamStream): void {
    if (this.kept !== null) for (const chunk of this.kept) upstream.sendData(chunk, 0, chunk.length)
    if (this.bytes > REPLAY_BYTES) this.outgrown()
    if (this.isComplete && !this.isBodyless) upstream.sendEnd(this.trailers)
  }

  /** So many bytes have left towards the attempt; those of a repeated beginning have been granted before. */
  drained(bytes: number): void {
    this.drainedBytes += bytes
    const news = this.drainedBytes - this.grantedBytes
    if (news <= 0) return
    this.grantedBytes = this.drainedBytes
    this.client.grant(news)
  }

  /** The attempt is over; what still comes from the client waits for the next one. */
  detach(): void {
    this.upstream = null
  }

  /** It is too long to be kept. */
  private outgrown(): void {
    if (this.mode === 'keep' && this.kind === 'grpc') this.messages = messagesOf(this.kept)
    this.forget()
  }

  private forget(): void {
    if (this.mode === 'keep') this.mode = 'pass'
    this.kept = null
  }

  /** Reads on without a receiver, so that the connection can be used again. */
  discard(): void {
    if (this.mode === 'drop') return
    const waiting = this.bytes - this.grantedBytes
    this.mode = 'drop'
    this.kept = null
    this.messages = null
    this.upstream = null
    if (waiting > 0 && !this.isComplete) this.client.grant(waiting)
  }

  /** Without a receiver everything is kept: the client's credit bounds it. */
  private keep(chunk: Buffer, start: number, end: number): void {
    if (this.upstream !== null && this.bytes > REPLAY_BYTES && !this.isTunnelAwaited) {
      this.outgrown()
      return
    }
    const copy = Buffer.allocUnsafe(end - start)
    chunk.copy(copy, 0, start, end)
    if (this.kept === null) this.kept = [copy]
    else this.kept.push(copy)
  }
}

function messagesOf(chunks: readonly Buffer[] | null): MessageCounter {
  const messages = new MessageCounter()
  if (chunks !== null) for (const chunk of chunks) messages.add(chunk, 0, chunk.length)
  return messages
}
