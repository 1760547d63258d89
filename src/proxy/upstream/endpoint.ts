// One address of a service as a worker knows it, for as long as some table has it: its connections, its load, its health.
import type { TableRoute } from '../../core/route-table.js'
import type { EndpointAddress } from '../../core/spec.js'
import type { UpstreamPool } from '../stream.js'
import { Http1Pool } from './http1-pool.js'
import { Http2Pool } from './http2-pool.js'
import type { PoolLimits } from './limits.js'

// Shorter than the usual 5 s after which HTTP/1 services close an idle connection, so that we rarely write into a closing one.
const HTTP1_IDLE_MS = 4000
// HTTP/2 says goodbye before it closes: there is no race to lose.
const HTTP2_IDLE_MS = 300_000

type EndpointLimits = Omit<PoolLimits, 'idleMs'>

export class Endpoint {
  readonly address: EndpointAddress
  /** Attempts under way. */
  active = 0
  private readonly limits: EndpointLimits
  private readonly pools: { h2c: UpstreamPool | null; http1: UpstreamPool | null } = { h2c: null, http1: null }

  constructor(address: EndpointAddress, limits: EndpointLimits) {
    this.address = address
    this.limits = limits
  }

  pool(protocol: TableRoute['protocol']): UpstreamPool {
    const found = this.pools[protocol]
    if (found !== null) return found
    const made =
      protocol === 'h2c'
        ? new Http2Pool(this.address, { ...this.limits, maxConnections: 0, idleMs: HTTP2_IDLE_MS })
        : new Http1Pool(this.address, { ...this.limits, idleMs: HTTP1_IDLE_MS })
    this.pools[protocol] = made
    return made
  }

  retire(): void {
    this.pools.h2c?.retire()
    this.pools.http1?.retire()
  }
}

/** Equal for equal addresses. */
export function addressKey(address: EndpointAddress): string {
  return 'socket' in address ? `unix:${address.socket}` : `${address.host}:${address.port}`
}
