// The bounds that every pool of connections to a service keeps.

export interface PoolLimits {
  /** Connections to one endpoint; 0: no limit. */
  maxConnections: number
  /** Of an answer's head, decoded. */
  maxHeaderBytes: number
  maxHeaderFields: number
  /** A connection without a stream is closed after this. */
  idleMs: number
}
