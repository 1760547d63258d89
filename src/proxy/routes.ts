// The worker's view of the world: the newest route table, and whose turn it is.
import { nextEndpoint } from '../core/balance.js'
import { findRoute } from '../core/route.js'
import type { RouteTable, TableEndpoint, TableRoute } from '../core/route-table.js'

export class Routes {
  private table: RouteTable = { version: 0, routes: [] }
  private readonly cursors = new Map<string, number>()

  /** Takes a table over unless a newer one is here.  Returns whether it was taken. */
  replace(table: RouteTable): boolean {
    if (table.version <= this.table.version) return false
    this.table = table
    const names = new Set(table.routes.map(route => route.upstream))
    for (const name of this.cursors.keys()) if (!names.has(name)) this.cursors.delete(name)
    return true
  }

  get version(): number {
    return this.table.version
  }

  find(path: string): TableRoute | undefined {
    return findRoute(this.table.routes, path)
  }

  /** The same route in the newest table: a request that waits must see what changed meanwhile. */
  again(route: TableRoute): TableRoute | undefined {
    return this.table.routes.find(now => now.prefix === route.prefix)
  }

  /** The next ready endpoint in turn, without those already tried. */
  pick(route: TableRoute, tried: readonly string[]): TableEndpoint | null {
    const choice = nextEndpoint(route.endpoints, this.cursors.get(route.upstream) ?? 0, tried)
    if (choice === null) return null
    this.cursors.set(route.upstream, choice.cursor)
    return choice.endpoint
  }

  /** Ready and all endpoints per upstream, for /health. */
  readiness(): Record<string, { ready: number; total: number }> {
    const out: Record<string, { ready: number; total: number }> = {}
    for (const route of this.table.routes) {
      out[route.upstream] = { ready: route.endpoints.filter(endpoint => endpoint.ready).length, total: route.endpoints.length }
    }
    return out
  }
}
