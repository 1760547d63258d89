// A worker's inside, put together: listener, both protocols, routes, connections to services, access log.

import type { RouteTable } from '../core/route-table.js'
import type { ProxySpec } from '../core/spec.js'
import { AccessLog } from './access-log.js'
import { serve } from './exchange.js'
import { Hold } from './hold.js'
import { Http1Server } from './http1/server.js'
import { Http2Server } from './http2/server.js'
import { Listener } from './listener.js'
import type { ClientCall } from './message.js'
import { Routes } from './routes.js'
import type { Traffic } from './traffic.js'
import { Upstreams } from './upstreams.js'

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
  private readonly routes = new Routes()
  private readonly hold = new Hold()
  private readonly upstreams = new Upstreams()
  private readonly accessLog: AccessLog | null
  private readonly http1: Http1Server
  private readonly http2: Http2Server
  private listener: Listener | null = null
  private state: 'starting' | 'listening' | 'draining' = 'starting'

  constructor(options: GatewayOptions) {
    const { settings, slot } = options
    this.options = options
    this.settings = settings
    const warn = (message: string) => options.log('warn', message)
    this.accessLog = settings.accessLog && new AccessLog({ spec: settings.accessLog, slot, warn })
    const traffic: Traffic = {
      routes: this.routes,
      hold: this.hold,
      upstreams: this.upstreams,
      version: options.version,
      isDraining: () => this.state === 'draining',
      record: entry => this.accessLog?.record(entry),
    }
    const serveCall = (call: ClientCall) => serve(call, traffic)
    this.http1 = new Http1Server({ settings, serve: serveCall, isDraining: traffic.isDraining })
    this.http2 = new Http2Server({ settings, serve: serveCall })
  }

  table(table: RouteTable): void {
    if (!this.routes.replace(table)) return
    this.upstreams.keepOnly(table)
    this.hold.wakeAll()
    if (this.state === 'listening') this.options.ready(this.routes.version)
  }

  listen(handle: unknown, failed: (error: Error) => void): void {
    if (this.state !== 'starting') return
    const { settings } = this
    this.listener = new Listener({
      maxConnections: Math.ceil(settings.maxConnections / Math.max(1, settings.workers)),
      firstBytesMs: settings.headerTimeoutMs,
      http1: socket => this.http1.accept(socket),
      http2: socket => this.http2.accept(socket),
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
    this.http1.drain()
    this.http2.drain()
    const limit = setTimeout(() => this.listener?.destroyAll(), limitMs)
    const closed = () => {
      clearTimeout(limit)
      if (this.accessLog === null) done()
      else this.accessLog.close(done)
    }
    if (this.listener === null) closed()
    else this.listener.stop(closed)
  }
}
