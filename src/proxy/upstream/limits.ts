// The bounds that every pool of connections to a service keeps.

import type { HeadLimits } from '../head-limits.js'

/** The head: of an answer. */
export interface PoolLimits extends HeadLimits {
  /** Connections to one endpoint; 0: no limit. */
  maxConnections: number
  /** A connection without a stream is closed after this. */
  idleMs: number
}
