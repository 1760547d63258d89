// The worker's view of the world: the newest route table, its endpoints with their connections, and whose turn it is.
import { nextEndpoint } from '../core/balance.js'
import { findRoute } from '../core/route.js'
import type { RouteTable, TableRoute } from '../core/route-table.js'
import type { RequestHead } from './stream.js'
import { addressKey, Endpoint, type EndpointLimits } from './upstream/endpoint.js'

/** An endpoint as one table shows it. */
export interface Choice {
  id: string
  ready: boolean
  weight: number
  endpoint: Endpoint
}

/** A route of the table, ready to be used. */
export class Route {
  readonly rules: TableRoute
  readonly prefix: string
  private readonly choices: readonly Choice[]
  cursor: number

  constructor(rules: TableRoute, choices: readonly Choice[], cursor: number) {
    this.rules = rules
    this.prefix = rules.prefix
    this.choices = choices
    this.cursor = cursor
  }

  /** The next ready endpoint, without those already tried. */
  pick(_head: RequestHead, tried: readonly string[]): Choice | null {
    const choice = nextEndpoint(this.choices, this.cursor, tried)
    if (choice === null) return null
    this.cursor = choice.cursor
    return choice.endpoint
  }
}

export class Routes {
  private readonly limits: Omit<EndpointLimits, 'maxConnections'>
  private newest = 0
  private routes: Route[] = []
  private byId = new Map<string, Route>()
  private endpoints = new Map<string, Endpoint>()

  constructor(limits: Omit<EndpointLimits, 'maxConnections'>) {
    this.limits = limits
  }

  /** Takes a table over unless a newer one is here.  Returns whether it was taken. */
  replace(table: RouteTable): boolean {
    if (table.version <= this.newest) return false
    this.newest = table.version
    const kept = new Map<string, Endpoint>()
    this.routes = table.routes.map(rules => this.compile(rules, kept))
    this.byId = new Map(this.routes.map(route => [route.rules.id, route]))
    for (const [key, endpoint] of this.endpoints) if (!kept.has(key)) endpoint.retire()
    this.endpoints = kept
    return true
  }

  get version(): number {
    return this.newest
  }

  find(path: string): Route | undefined {
    return findRoute(this.routes, path)
  }

  /** The same route in the newest table: a request that waits must see what changed meanwhile. */
  again(route: Route): Route | undefined {
    return this.byId.get(route.rules.id)
  }

  /** Ready and all endpoints per upstream, for /health. */
  readiness(): Record<string, { ready: number; total: number }> {
    const out: Record<string, { ready: number; total: number }> = {}
    for (const { rules } of this.routes) {
      out[rules.upstream] = { ready: rules.endpoints.filter(endpoint => endpoint.ready).length, total: rules.endpoints.length }
    }
    return out
  }

  private compile(rules: TableRoute, kept: Map<string, Endpoint>): Route {
    const choices = rules.endpoints.map(({ id, address, ready, weight }): Choice => {
      const maxConnections = rules.maxConnectionsPerEndpoint
      const key = `${addressKey(address)} ${maxConnections}`
      const endpoint = kept.get(key) ?? this.endpoints.get(key) ?? new Endpoint(address, { ...this.limits, maxConnections })
      kept.set(key, endpoint)
      return { id, ready, weight, endpoint }
    })
    return new Route(rules, choices, this.byId.get(rules.id)?.cursor ?? 0)
  }
}
