// The route table: the whole of what a proxy worker knows about the world, sent by the daemon as versioned snapshots.
import type { EndpointAddress, ProxySpec, RouteRules, RouteSpec } from './spec.js'
import type { InstanceStatus } from './status.js'

/** Replaces every earlier table with a smaller version. */
export interface RouteTable {
  version: number
  /** Longest prefix first. */
  routes: TableRoute[]
}

export interface TableRoute extends RouteRules {
  /** Program name or the route's id again: the upstream's name in logs and errors. */
  upstream: string
  /** True where somebody wants the upstream up, so waiting for it makes sense; false: answer 503 at once. */
  expected: boolean
  endpoints: TableEndpoint[]
}

export interface TableEndpoint {
  /** Instance id, or the address as text. */
  id: string
  address: EndpointAddress
  ready: boolean
  /** 1-1000: its share beside the others. */
  weight: number
}

/** Where clients come in: the plain port, or that for TLS. */
export type Door = 'plain' | 'tls'

/** Daemon to worker, over the IPC channel of child_process.fork. `listen` carries the listening socket as its handle. */
export type ToWorker =
  | { kind: 'settings'; settings: ProxySpec; version: string }
  | { kind: 'table'; table: RouteTable }
  | { kind: 'listen'; door: Door }
  | { kind: 'reopen' }
  | { kind: 'drain'; limitMs: number }

/** Worker to daemon. `ready`: accepting with a table. `leaving`: accepts nothing more, on request, by SIGTERM or after a bug. */
export type FromWorker =
  | { kind: 'ready'; tableVersion: number }
  | { kind: 'leaving' }
  | { kind: 'drained' }
  | { kind: 'log'; level: 'info' | 'warn' | 'error'; message: string }

/** The table for what is known now.  statuses: every instance there is.  Longest prefix first, so that the first match is the right one. */
export function routeTable(version: number, routes: RouteSpec[], statuses: InstanceStatus[]): RouteTable {
  const longestFirst = [...routes].sort((a, b) => b.prefix.length - a.prefix.length)
  return { version, routes: longestFirst.map(route => tableRoute(route, statuses)) }
}

/** Programs that some route leads to. */
export function routedPrograms(routes: RouteSpec[]): Set<string> {
  return new Set(routes.flatMap(({ to }) => ('program' in to ? [to.program] : [])))
}

function tableRoute({ to, weights, ...rules }: RouteSpec, statuses: InstanceStatus[]): TableRoute {
  const weightOf = (index: number) => weights[index] ?? 1
  if ('endpoints' in to) {
    const endpoints = to.endpoints.map((address, index) => ({ id: addressText(address), address, ready: true, weight: weightOf(index) }))
    return { ...rules, upstream: rules.id, expected: true, endpoints }
  }
  const instances = statuses.filter(status => status.program === to.program)
  const endpoints = instances.flatMap(({ id, address, ready }, index) =>
    address === null ? [] : [{ id, address, ready, weight: weightOf(index) }],
  )
  // FATAL is wanted up too, but nobody knows for when: its callers hear so at once.
  const expected = instances.some(status => status.wanted === 'up' && status.state !== 'FATAL')
  return { ...rules, upstream: to.program, expected, endpoints }
}

function addressText(address: EndpointAddress): string {
  return 'socket' in address ? `unix:${address.socket}` : `${address.host}:${address.port}`
}
