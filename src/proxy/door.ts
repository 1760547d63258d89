// The open door as the daemon has it: a proxy that may be switched on and off, and the newest route table for whoever serves.
import { type RouteTable, routeTable } from '../core/route-table.js'
import type { ProxySpec, RouteSpec } from '../core/spec.js'
import type { InstanceStatus } from '../core/status.js'
import { type ProxyOptions, type Proxy as ProxyWorkers, startProxy } from './workers.js'

export class Door {
  readonly #options: Omit<ProxyOptions, 'spec' | 'table'>
  #proxy: ProxyWorkers | null = null
  #spec = ''
  #table: RouteTable = { version: 1, routes: [] }
  #routes = '[]'

  constructor(options: Omit<ProxyOptions, 'spec' | 'table'>) {
    this.#options = options
  }

  /** Makes the proxy what its settings say: on, off, or a new generation of workers.  Throws AppError PORT_TAKEN, LISTEN_FAILED; then all is as before. */
  async apply(spec: ProxySpec): Promise<void> {
    const text = JSON.stringify(spec)
    if (text === this.#spec) return
    if (spec.listen === null) await this.close()
    else if (this.#proxy === null) this.#proxy = await startProxy({ ...this.#options, spec, table: this.#table })
    else await this.#proxy.settings(spec)
    this.#spec = text
  }

  /** Workers hear of every change that concerns them, and of no other. */
  update(routes: RouteSpec[], statuses: InstanceStatus[]): void {
    const table = routeTable(this.#table.version + 1, routes, statuses)
    const text = JSON.stringify(table.routes)
    if (text === this.#routes) return
    this.#table = table
    this.#routes = text
    this.#proxy?.table(table)
  }

  /** Resolves when every worker acts on the newest table, at the latest after limitMs. */
  async settled(limitMs: number): Promise<void> {
    await this.#proxy?.settled(this.#table.version, limitMs)
  }

  reopenLogs(): void {
    this.#proxy?.reopenLogs()
  }

  /** Requests in flight are finished, at most for the drain time. */
  async close(): Promise<void> {
    await this.#proxy?.stop()
    this.#proxy = null
    this.#spec = ''
  }
}
