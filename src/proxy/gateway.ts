// A worker's inside, put together: listener, both protocols, routes, connections to services, access log.

import { accessRules, isAllowed, parseAddress } from '../core/address.js'
import type { Door, RouteTable } from '../core/route-table.js'
import type { ProxySpec } from '../core/spec.js'
import { AccessLog } from './access-log.js'
import { Certificate } from './certificate.js'
import { serve } from './exchange.js'
import { Guests, shareOf } from './guests.js'
import { Hold } from './hold.js'
import { Http1ServerConnection } from './http1/server-connection.js'
import { ServerConnection as Http2ServerConnection } from './http2/server-connection.js'
import { refusedEntry } from './ledger.js'
import { Listener } from './listener.js'
import { MemoryReturn } from './memory-return.js'
import { Roll } from './roll.js'
import { Routes } from './routes.js'
import type { ServerOptions } from './server-options.js'
import { missing } from './sockets.js'
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
  private readonly guests: Guests
  private readonly listeners = new Map<Door, Listener>()
  private readonly memory = new MemoryReturn(() => [...this.listeners.values()].some(listener => listener.connections > 0))
  private certificate: Certificate | null = null
  private opened = 0
  private state: 'starting' | 'listening' | 'draining' = 'starting'

  constructor(options: GatewayOptions) {
    const { settings, slot } = options
    this.options = options
    this.settings = settings
    const warn = (message: string) => options.log('warn', message)
    if (missing !== null) warn(`Node's own sockets carry the traffic, at nearly twice the CPU per request: ${missing}`)
    this.accessLog = settings.accessLog && new AccessLog({ spec: settings.accessLog, slot, warn })
    this.guests = new Guests({
      max: shareOf(settings.maxConnections, settings.workers, slot),
      maxPerClient: settings.maxConnectionsPerClient,
      warn,
    })
    this.routes = new Routes({ maxHeaderBytes: settings.maxHeaderBytes, maxHeaderFields: settings.maxHeaderFields })
    this.traffic = {
      routes: this.routes,
      hold: this.hold,
      settings,
      access: accessRules(settings),
      version: options.version,
      isDraining: () => this.state === 'draining',
      roll: new Roll(),
      countsMessages: settings.accessLog?.format === 'json',
      record: entry => this.accessLog?.record(entry),
    }
  }

  table(table: RouteTable): void {
    if (!this.routes.replace(table)) return
    this.hold.wakeAll()
    if (this.state === 'listening') this.options.ready(this.routes.version)
  }

  /** Opens a door: the plain one, or that for TLS. */
  listen(door: Door, handle: unknown, failed: (error: Error) => void): void {
    if (this.state === 'draining' || this.listeners.has(door)) return
    const listener = this.newListener(door, failed)
    if (listener === null) return
    this.listeners.set(door, listener)
    listener.listen(handle, () => {
      this.opened++
      if (this.opened < (this.settings.tls === null ? 1 : 2)) return
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
    this.certificate?.close()
    const limit = setTimeout(() => this.cutOff(), limitMs)
    let open = this.listeners.size
    const closed = () => {
      if (--open > 0) return
      clearTimeout(limit)
      if (this.accessLog === null) done()
      else this.accessLog.close(done)
    }
    if (open === 0) closed()
    for (const listener of this.listeners.values()) listener.drain(closed)
  }

  /** Time is over: what still runs is told so, then cut. */
  private cutOff(): void {
    this.traffic.roll.refuseAll({ code: 'PROXY_DRAINING', message: 'the worker has drained for as long as it may' })
    setTimeout(() => {
      for (const listener of this.listeners.values()) listener.destroyAll()
    }, LAST_WORDS_MS)
  }

  private newListener(door: Door, failed: (error: Error) => void): Listener | null {
    const { settings, options } = this
    if (door === 'tls') {
      try {
        this.certificate = new Certificate(settings.tls!, options.log)
      } catch (error) {
        failed(error instanceof Error ? error : new Error(String(error)))
        return null
      }
    }
    const scheme = door === 'tls' ? 'https' : 'http'
    const introducers = accessRules({ allow: settings.proxyProtocolFrom, deny: [] })
    return new Listener({
      guests: this.guests,
      firstBytesMs: settings.headerTimeoutMs,
      proxyHeader: settings.proxyProtocol === 'required' ? 'required' : 'none',
      mayIntroduce: address => {
        if (introducers === null) return 'as anybody'
        return isAllowed(introducers, parseAddress(address)) ? 'by name' : 'no'
      },
      certificate: door === 'tls' ? this.certificate : null,
      http1: (wire, closed) => new Http1ServerConnection(wire, this.serverOptions(scheme, closed)),
      http2: (wire, closed) => new Http2ServerConnection(wire, this.serverOptions(scheme, closed)),
      visited: () => this.memory.watch(),
      failed,
    })
  }

  private serverOptions(scheme: 'http' | 'https', closed: () => void): ServerOptions {
    const { settings, traffic } = this
    return {
      settings,
      scheme,
      serve: stream => serve(stream, traffic),
      refused: request => this.accessLog?.record(refusedEntry(request, settings)),
      isDraining: traffic.isDraining,
      closed,
    }
  }
}

// For the refusals of the last requests to leave.
const LAST_WORDS_MS = 100
