// The codec-neutral contract of the data plane: what a client's side and a service's side of an exchange do and report.
//
// Bytes are handed on as (chunk, start, end) and are valid during the call only: who keeps them copies them.
// Credit: a sender may be WINDOW_BYTES ahead of what the other side has granted; `drained` says that bytes have left our hands.
// Every method may be called from within a reported event.  No event is reported from within a method, but `drained` and `answerSent`.
import type { ErrorCode } from '../core/error.js'
import type { Fields } from '../core/headers.js'
import type { NeverIndexed } from './http2/hpack/never-indexed.js'

/** What a sender may have on its way without a grant, per direction of a stream: the bound of what a stalled stream can hold. */
export const WINDOW_BYTES = 256 * 1024

/** The head of a client's request, checked by its codec. */
export interface RequestHead {
  protocol: 'http1' | 'h2c'
  /** For the access log: HTTP/1.1, HTTP/2.0. */
  version: string
  /** GET also for an Extended CONNECT that asks for WebSocket. */
  method: string
  /** As it came; not yet checked by core/route.ts. */
  target: string
  scheme: string
  /** Host or :authority. */
  authority: string
  /** Without pseudo fields and `host`. */
  fields: Fields
  /** Nothing follows the head; false where `upgrade` asks for a tunnel. */
  bodyless: boolean
  /** Of the body in bytes; -1 where it is not known. */
  contentLength: number
  /** The client asks to go on as WebSocket. */
  upgrade: 'websocket' | null
  /** Address of the client's end of the connection. */
  client: string
  /** Names that the client marks as never indexed; trailers may add to them. */
  neverIndexed: NeverIndexed
}

/** One request as its client's codec shows it, and the ways to answer it.  Begins with events null; whoever serves it sets them at once. */
export interface ClientStream {
  readonly head: RequestHead
  events: ClientEvents | null
  /** The answer comes from where these names are marked as never indexed: they stay so. */
  keepNeverIndexed(names: NeverIndexed): void
  /** 100-199 but 101; dropped where the client cannot take it. */
  sendInformational(status: number, fields: Fields): void
  /** fields: through the passes, with content-length where the length is known.  end: `now` where neither body nor trailers follow.
   *  101 answers an upgrade (codecs write what their protocol says instead): from then on bytes go both ways until both have ended. */
  sendHead(status: number, fields: Fields, end: 'now' | 'later'): void
  sendData(chunk: Buffer, start: number, end: number): void
  /** Ends the answer, with trailers where the protocol can carry them. */
  sendEnd(trailers: Fields): void
  /** Ends the exchange so that nobody can take a begun answer for a complete one.  code: of HTTP/2's RST_STREAM. */
  sendReset(code: number): void
  /** So many bytes of the request body have been taken: the client may send as many more. */
  grant(bytes: number): void
}

/** What a client's side reports.  requestData* then requestEnd or requestFault, once; `clientGone` or `answerSent` is the last event.
 *  A client that sends on after the answer is complete is the codec's business (rule 10), not reported. */
export interface ClientEvents {
  requestData(chunk: Buffer, start: number, end: number): void
  requestEnd(trailers: Fields): void
  /** The rest of the body cannot be had: it stood still for body_timeout while we would have taken it, or it breaks its protocol in a way that an answer
   *  can still tell.  To be answered with a refusal of this code, a begun answer with a reset.  Only of one that stood still may whoever serves it know
   *  better, and do nothing: it is told again after as long a rest. */
  requestFault(code: 'REQUEST_TOO_SLOW' | 'REQUEST_MALFORMED', message: string): void
  /** So many bytes of the answer's body have left our hands. */
  answerDrained(bytes: number): void
  /** The answer, its end included, has left our hands. */
  answerSent(): void
  /** The client reset the stream, lost its connection, broke its protocol or took nothing of its answer for too long before that was complete. */
  clientGone(why: 'reset' | 'closed' | 'malformed' | 'stalled'): void
}

/** Why an attempt failed.  grpc: status towards a gRPC client where it differs from the code's row.
 *  again: `unsent` nothing has left, `refused` the service says it did not begin,
 *  `idempotent` a kept connection was closed under it, `no` it may have been worked on. */
export interface Failure {
  code: ErrorCode
  message: string
  again: 'unsent' | 'refused' | 'idempotent' | 'no'
  grpc?: number
}

/** One attempt at one endpoint. */
export interface UpstreamStream {
  /** The head is on its way: the body may follow.  False at first where a connection or a free stream is waited for; `opened` tells then. */
  readonly isOpen: boolean
  /** Names that the service marks as never indexed; from `isOpen` on, and what comes later adds to them. */
  readonly neverIndexed: NeverIndexed
  sendData(chunk: Buffer, start: number, end: number): void
  sendEnd(trailers: Fields): void
  /** Gives the attempt up, or lets go of a request whose answer is complete; nothing is reported after it. */
  cancel(): void
  /** So many bytes of the answer's body have been taken. */
  grant(bytes: number): void
}

/** What a service's side reports: opened, informational*, answerHead, answerData*, answerEnd; `failed` at any point, as the last.
 *  Nothing is reported before the `open` that made the stream has returned. */
export interface UpstreamEvents {
  opened(): void
  informational(status: number, fields: Fields): void
  /** 101: the service agreed to the upgrade (also where its protocol says so with another number). */
  answerHead(status: number, fields: Fields, end: 'now' | 'later'): void
  answerData(chunk: Buffer, start: number, end: number): void
  answerEnd(trailers: Fields): void
  /** So many bytes of the request's body have left our hands. */
  requestDrained(bytes: number): void
  failed(failure: Failure): void
}

/** The head as it goes to a service: fields have been through the passes. */
export type UpstreamHead = Pick<
  RequestHead,
  'method' | 'target' | 'scheme' | 'authority' | 'fields' | 'bodyless' | 'upgrade' | 'neverIndexed'
>

/** The connections to one endpoint in one protocol. */
export interface UpstreamPool {
  /** Attempts under way, waiting ones included. */
  readonly load: number
  /** Begins an attempt; a connection that cannot be had within connectTimeoutMs is a failure `unsent`. */
  open(head: UpstreamHead, events: UpstreamEvents, connectTimeoutMs: number): UpstreamStream
  /** The endpoint has left the table: nothing new, idle connections close now, the others after their last stream. */
  retire(): void
}
