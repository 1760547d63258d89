// A worker's inside, put together: listener, both protocols, routes, connections to services, access log.

import type { RouteTable } from '../core/route-table.js'
import type { ProxySpec } from '../core/spec.js'
import { AccessLog } from './access-log.js'
import { serve } from './exchange.js'
import { Hold } from './hold.js'
import { Http1ServerConnection } from './http1/server-connection.js'
import { Http2ServerConnection } from './http2/server-connection.js'
import { Listener } from './listener.js'
import { Routes } from './routes.js'
import type { ServerOptions } from './server-options.js'
import type { Traffic } from './traffic.js'

export interface GatewayOptions {
  settings: ProxySpec
  version: string
  /** 0-based number of the worker; each has an access log of its own. */
  slot: number
  log(level: 'info' | 'warn' | 'error', message: string): void
  /** Accepting, with this table; called again for every newer one. */
  ready(tableVersion: number): void
}

export class Gateway {
  readonly settings: ProxySpec
  private readonly options: GatewayOptions
  private readonly routes: Routes
  private readonly hold = new Hold()
  private readonly accessLog: AccessLog | null
  private readonly traffic: Traffic
  private listener: Listener | null = null
  private state: 'starting' | 'listening' | 'draining' = 'starting'

  constructor(options: GatewayOptions) {
    const { settings, slot } = options
    this.options = options
    this.settings = settings
    const warn = (message: string) => options.log('warn', message)
    this.accessLog = settings.accessLog && new AccessLog({ spec: settings.accessLog, slot, warn })
    this.routes = new Routes({ maxHeaderBytes: settings.maxHeaderBytes, maxHeaderFields: settings.maxHeaderFields })
    this.traffic = {
      routes: this.routes,
      hold: this.hold,
      version: options.version,
      isDraining: () => this.state === 'draining',
      record: entry => this.accessLog?.record(entry),
    }
  }

  table(table: RouteTable): void {
    if (!this.routes.replace(table)) return
    this.hold.wakeAll()
    if (this.state === 'listening') this.options.ready(this.routes.version)
  }

  listen(handle: unknown, failed: (error: Error) => void): void {
    if (this.state !== 'starting') return
    const { settings } = this
    this.listener = new Listener({
      maxConnections: Math.ceil(settings.maxConnections / Math.max(1, settings.workers)),
      firstBytesMs: settings.headerTimeoutMs,
      http1: (wire, closed) => new Http1ServerConnection(wire, this.serverOptions(closed)),
      http2: (wire, closed) => new Http2ServerConnection(wire, this.serverOptions(closed)),
      failed,
    })
    this.listener.listen(handle, () => {
      this.state = 'listening'
      this.options.ready(this.routes.version)
    })
  }

  reopenLog(): void {
    this.accessLog?.reopen()
  }

  /** Calls back when the last request is answered, at the latest after limitMs. */
  drain(limitMs: number, done: () => void): void {
    this.state = 'draining'
    this.accessLog?.follow()
    const limit = setTimeout(() => this.listener?.destroyAll(), limitMs)
    const closed = () => {
      clearTimeout(limit)
      if (this.accessLog === null) done()
      else this.accessLog.close(done)
    }
    if (this.listener === null) closed()
    else this.listener.drain(closed)
  }

  private serverOptions(closed: () => void): ServerOptions {
    const { settings, traffic } = this
    return { settings, scheme: 'http', serve: stream => serve(stream, traffic), isDraining: traffic.isDraining, closed }
  }
}
