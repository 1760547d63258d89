// What the gateway gives every connection of a client, whatever its protocol.
import type { AccessEntry } from '../core/access-line.js'
import type { ErrorCode } from '../core/error.js'
import type { ProxySpec } from '../core/spec.js'
import type { ClientStream } from './stream.js'

/** What a codec has refused before it was a request, for the access log. */
export interface RefusedRequest {
  code: ErrorCode
  /** As it was sent; of a reset or a GOAWAY, which have none, that of the code's row. */
  status: number
  grpcStatus: string | null
  /** What is known of it: texts may be empty. */
  head: AccessEntry['head']
  /** Of the answer's body. */
  bytesOut: number
}

export interface ServerOptions {
  settings: ProxySpec
  /** What the client spoke to the door: https behind TLS. */
  scheme: 'http' | 'https'
  /** A complete, sound request head is here; sets `stream.events` before it returns. */
  serve(stream: ClientStream): void
  /** No request has come of what is here.  Once per connection in HTTP/1; over HTTP/2 the reset guard bounds it, and a connection that fails has one more. */
  refused(request: RefusedRequest): void
  /** True once answers should end their connection. */
  isDraining(): boolean
  /** The connection is gone. */
  closed(): void
}
