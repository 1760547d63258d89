// What the gateway gives every connection of a client, whatever its protocol.
import type { ProxySpec } from '../core/spec.js'
import type { ClientStream } from './stream.js'

export interface ServerOptions {
  settings: ProxySpec
  /** What the client spoke to the door: https behind TLS. */
  scheme: 'http' | 'https'
  /** A complete, sound request head is here; sets `stream.events` before it returns. */
  serve(stream: ClientStream): void
  /** True once answers should end their connection. */
  isDraining(): boolean
  /** The connection is gone. */
  closed(): void
}
