// The codec-neutral shape of a request on its way through: what a client side offers, what an upstream side reports.
import type { Duplex, Readable, Writable } from 'node:stream'
import type { ErrorCode } from '../core/error.js'
import type { Fields } from '../core/headers.js'

/** The head of a client's request, checked by its codec. */
export interface RequestHead {
  protocol: 'http1' | 'h2c'
  /** For the access log: HTTP/1.1, HTTP/2.0. */
  version: string
  method: string
  /** As it came; not yet checked by core/route.ts. */
  target: string
  scheme: string
  /** Host or :authority. */
  authority: string
  fields: Fields
  /** Nothing follows the head. */
  bodyless: boolean
  /** The client asks to go on as WebSocket. */
  upgrade: 'websocket' | null
  /** Address of the client's end of the connection. */
  client: string
}

/** One request as its client side shows it, and the ways to answer it.  After `onGone` nothing may be answered. */
export interface ClientCall {
  readonly head: RequestHead
  readonly body: Readable
  /** Complete once the body has ended. */
  requestTrailers(): Fields
  readonly answerBody: Writable
  sendInformational(status: number, fields: Fields): void
  /** end: `now` where neither body nor trailers follow. */
  sendHead(status: number, fields: Fields, end: 'now' | 'later'): void
  /** Ends the answer, after its body, with trailers where the client can take them. */
  sendEnd(trailers: Fields): void
  /** Answers 101 and hands out the client's end of the tunnel.  Only for a head with `upgrade`. */
  switchProtocols(fields: Fields): Duplex
  /** Ends a begun answer so that nobody can take it for a complete one. */
  sendReset(): void
  /** Called once when the client has left before its answer was complete. */
  onGone(listener: () => void): void
}

/** Why an attempt failed.  grpc: status towards a gRPC client where it differs from the code's row.
 *  again: `unsent` nothing has left, `refused` the upstream says it did not begin,
 *  `idempotent` a kept connection was closed under it, `no` it may have been worked on. */
export interface Failure {
  code: ErrorCode
  message: string
  again: 'unsent' | 'refused' | 'idempotent' | 'no'
  grpc?: number
}

/** One attempt at one endpoint, as the upstream side shows it. */
export interface UpstreamCall {
  readonly body: Writable
  /** Ends the request, after its body. */
  end(trailers: Fields): void
  /** Asked when the answer's body has ended: false where it was cut off, which `failed` then tells. */
  answerComplete(): boolean
  /** Complete once the answer's body has ended. */
  answerTrailers(): Fields
  /** Gives the attempt up; nothing is reported after it. */
  cancel(): void
}

/** What an upstream side reports, in this order: opened, informational*, head or switched; failed at any point. */
export interface UpstreamListener {
  /** There is a connection and the head is on its way; the body may follow. */
  opened(call: UpstreamCall): void
  informational(status: number, fields: Fields): void
  /** body: null where the answer ended with its head. */
  head(status: number, fields: Fields, body: Readable | null): void
  /** The service answered 101; its end of the tunnel. */
  switched(fields: Fields, tunnel: Duplex): void
  failed(failure: Failure): void
}

/** The head as it goes to an upstream: fields have been through the passes. */
export interface UpstreamHead {
  method: string
  target: string
  scheme: string
  authority: string
  fields: Fields
  bodyless: boolean
  upgrade: 'websocket' | null
}
