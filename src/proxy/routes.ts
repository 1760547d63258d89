// The worker's view of the world: the newest route table, compiled, and what must outlive a table: whose turn it is, budgets, buckets, health.
import { type AccessRules, accessRules } from '../core/address.js'
import { AnswerTime } from '../core/answer-time.js'
import { chooseByHash, chooseLeastRequests, hashKeyValue, WeightedTurns } from '../core/choose.js'
import { type Credentials, credentialsOf } from '../core/credentials.js'
import { EndpointHealth, withoutEjected } from '../core/outlier.js'
import { RateLimiter } from '../core/rate-limit.js'
import { RetryBudget } from '../core/retry-budget.js'
import { matchRoute, type RouteIndex, routeIndex } from '../core/route-match.js'
import type { RouteTable, TableRoute } from '../core/route-table.js'
import type { RouteConditions } from '../core/spec.js'
import type { HeadLimits } from './head-limits.js'
import type { RequestHead } from './stream.js'
import { addressKey, Endpoint } from './upstream/endpoint.js'

/** An endpoint as one table shows it. */
export interface Choice {
  id: string
  weight: number
  endpoint: Endpoint
  health: EndpointHealth
  answerTime: AnswerTime
}

/** What a request is looked at by. */
export type Asker = Pick<RequestHead, 'fields'> & { client: string }

/** What stays with a route over tables. */
class RouteMemory {
  readonly turns = new WeightedTurns()
  readonly budget = new RetryBudget()
  readonly healthOf = new Map<string, EndpointHealth>()
  readonly answerTimeOf = new Map<string, AnswerTime>()
  limiter: RateLimiter | null = null
  ready: ReadonlySet<string> = new Set()

  update(rules: TableRoute): void {
    const ids = new Set(rules.endpoints.map(({ id }) => id))
    this.turns.keepOnly(ids)
    for (const memory of [this.healthOf, this.answerTimeOf]) for (const id of memory.keys()) if (!ids.has(id)) memory.delete(id)
    const before = this.ready
    this.ready = new Set(rules.endpoints.filter(({ ready }) => ready).map(({ id }) => id))
    // Ready anew: what was before its restart does not count.
    for (const id of this.ready) {
      if (before.has(id)) continue
      this.healthOf.get(id)?.trust()
      this.answerTimeOf.get(id)?.forget()
    }
    if (JSON.stringify(rules.rateLimit) !== JSON.stringify(this.limiter?.limit ?? null))
      this.limiter = rules.rateLimit && new RateLimiter(rules.rateLimit)
  }

  health(id: string): EndpointHealth {
    const found = this.healthOf.get(id) ?? new EndpointHealth()
    this.healthOf.set(id, found)
    return found
  }

  answerTime(id: string): AnswerTime {
    const found = this.answerTimeOf.get(id) ?? new AnswerTime()
    this.answerTimeOf.set(id, found)
    return found
  }
}

/** A route of the table, ready to be used. */
export class Route implements RouteConditions {
  readonly rules: TableRoute
  readonly prefix: string
  readonly hosts: string[]
  readonly headers: RouteConditions['headers']
  readonly access: AccessRules | null
  readonly credentials: Credentials | null
  readonly memory: RouteMemory
  private readonly ready: readonly Choice[]

  constructor(rules: TableRoute, memory: RouteMemory, ready: readonly Choice[]) {
    this.rules = rules
    this.prefix = rules.prefix
    this.hosts = rules.hosts
    this.headers = rules.headers
    this.access = accessRules(rules)
    this.credentials = rules.auth && credentialsOf(rules.auth)
    this.memory = memory
    this.ready = ready
  }

  /** Is there an endpoint that has not been asked? */
  isLeft(tried: readonly string[]): boolean {
    return this.ready.some(({ id }) => !tried.includes(id))
  }

  /** The endpoint for a request, by the route's way of balancing.  tried: ids that it has asked in vain.  null: there is none. */
  pick(asker: Asker, tried: readonly string[]): Choice | null {
    const { ready, memory } = this
    const left = tried.length === 0 ? ready : ready.filter(({ id }) => !tried.includes(id))
    if (left.length < 2) return left[0] ?? null
    const nowMs = performance.now()
    const choices = withoutEjected(left, nowMs)
    const { balance } = this.rules
    if (balance.kind === 'least_requests') return chooseLeastRequests(choices, loadOf, { random: Math.random(), nowMs })
    const key = balance.kind === 'hash' ? hashKeyValue(balance.key, asker) : null
    return key === null ? memory.turns.choose(choices) : chooseByHash(choices, key)
  }
}

function loadOf(choice: Choice): number {
  return choice.endpoint.active
}

export class Routes {
  private readonly limits: HeadLimits
  private newest = 0
  private routes: Route[] = []
  private index: RouteIndex<Route> = routeIndex([])
  private byId = new Map<string, Route>()
  private endpoints = new Map<string, Endpoint>()

  constructor(limits: HeadLimits) {
    this.limits = limits
  }

  /** Takes a table over unless a newer one is here.  Returns whether it was taken. */
  replace(table: RouteTable): boolean {
    if (table.version <= this.newest) return false
    this.newest = table.version
    const kept = new Map<string, Endpoint>()
    this.routes = table.routes.map(rules => this.compile(rules, kept))
    this.index = routeIndex(this.routes)
    this.byId = new Map(this.routes.map(route => [route.rules.id, route]))
    for (const [key, endpoint] of this.endpoints) if (!kept.has(key)) endpoint.retire()
    this.endpoints = kept
    return true
  }

  get version(): number {
    return this.newest
  }

  find(path: string, request: Pick<RequestHead, 'authority' | 'fields'>): Route | undefined {
    return matchRoute(this.index, path, request)
  }

  /** The same route in the newest table: a request that waits must see what changed meanwhile. */
  again(route: Route): Route | undefined {
    return this.byId.get(route.rules.id)
  }

  /** Ready and all endpoints per upstream, for /health. */
  readiness(): Record<string, { ready: number; total: number }> {
    const out: Record<string, { ready: number; total: number }> = {}
    for (const { rules } of this.routes) {
      if (rules.redirect !== null) continue
      out[rules.upstream] = { ready: rules.endpoints.filter(endpoint => endpoint.ready).length, total: rules.endpoints.length }
    }
    return out
  }

  private compile(rules: TableRoute, kept: Map<string, Endpoint>): Route {
    const memory = this.byId.get(rules.id)?.memory ?? new RouteMemory()
    memory.update(rules)
    const ready: Choice[] = []
    for (const { id, address, ready: isReady, weight } of rules.endpoints) {
      const maxConnections = rules.maxConnectionsPerEndpoint
      const key = `${addressKey(address)} ${maxConnections}`
      const endpoint = kept.get(key) ?? this.endpoints.get(key) ?? new Endpoint(address, { ...this.limits, maxConnections })
      kept.set(key, endpoint)
      if (isReady) ready.push({ id, weight, endpoint, health: memory.health(id), answerTime: memory.answerTime(id) })
    }
    return new Route(rules, memory, ready)
  }
}
