// The route table: the whole of what a proxy worker knows about the world, sent by the daemon as versioned snapshots.
import type { EndpointAddress, ProxySpec } from './spec.js'

/** Replaces every earlier table with a smaller version. */
export interface RouteTable {
  version: number
  /** Longest prefix first. */
  routes: TableRoute[]
}

export interface TableRoute {
  prefix: string
  /** Program name or the prefix again: the upstream's name in logs and errors. */
  upstream: string
  protocol: 'h2c' | 'http1'
  strip: boolean
  holdMs: number
  timeoutMs: number
  connectTimeoutMs: number
  /** True where somebody wants the upstream up, so waiting for it makes sense; false: answer 503 at once. */
  expected: boolean
  endpoints: TableEndpoint[]
}

export interface TableEndpoint {
  /** Instance id, or the address as text. */
  id: string
  address: EndpointAddress
  ready: boolean
}

/** Daemon to worker, over the IPC channel of child_process.fork. `listen` carries the listening socket as its handle. */
export type ToWorker =
  | { kind: 'settings'; settings: ProxySpec; version: string }
  | { kind: 'table'; table: RouteTable }
  | { kind: 'listen' }
  | { kind: 'reopen' }
  | { kind: 'drain'; limitMs: number }

/** Worker to daemon. `ready`: accepting with a table. `leaving`: accepts nothing more, on request, by SIGTERM or after a bug. */
export type FromWorker =
  | { kind: 'ready'; tableVersion: number }
  | { kind: 'leaving' }
  | { kind: 'drained' }
  | { kind: 'log'; level: 'info' | 'warn' | 'error'; message: string }
