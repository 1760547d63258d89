// The connections to services, by address: opens attempts, and lets go of addresses that left the route table.
import type { Agent } from 'node:http'
import type { RouteTable, TableEndpoint, TableRoute } from '../core/route-table.js'
import { newAgent, openHttp1 } from './http1/client.js'
import { openHttp2 } from './http2/client.js'
import { Http2Pool } from './http2/pool.js'
import type { UpstreamHead, UpstreamListener } from './message.js'

export class Upstreams {
  private readonly agents = new Map<string, Agent>()
  private readonly pools = new Map<string, Http2Pool>()

  /** Begins one attempt at one endpoint.  Returns what gives it up. */
  open(route: TableRoute, endpoint: TableEndpoint, head: UpstreamHead, listener: UpstreamListener): () => void {
    const { connectTimeoutMs } = route
    if (route.protocol === 'h2c') return openHttp2({ pool: this.pool(endpoint), head, connectTimeoutMs }, listener)
    return openHttp1({ agent: this.agent(endpoint), address: endpoint.address, head, connectTimeoutMs }, listener)
  }

  /** Connections to addresses that the table no longer has take nothing new. */
  keepOnly(table: RouteTable): void {
    const known = new Set<string>()
    for (const route of table.routes) for (const endpoint of route.endpoints) known.add(keyOf(endpoint))
    for (const [key, agent] of this.agents) {
      if (known.has(key)) continue
      this.agents.delete(key)
      agent.destroy()
    }
    for (const [key, pool] of this.pools) {
      if (known.has(key)) continue
      this.pools.delete(key)
      pool.retire()
    }
  }

  private agent(endpoint: TableEndpoint): Agent {
    const key = keyOf(endpoint)
    const found = this.agents.get(key) ?? newAgent()
    this.agents.set(key, found)
    return found
  }

  private pool(endpoint: TableEndpoint): Http2Pool {
    const key = keyOf(endpoint)
    const found = this.pools.get(key) ?? new Http2Pool(endpoint.address)
    this.pools.set(key, found)
    return found
  }
}

function keyOf({ address }: TableEndpoint): string {
  return 'socket' in address ? `unix:${address.socket}` : `${address.host}:${address.port}`
}
