// A door: accepts connections within the limits, has TLS spoken where it is the TLS door, and follows each to its end.
import { createServer, type Server, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Certificate } from './certificate.js'
import { readIntroduction } from './introduction.js'
import { Visit, type VisitEvents, type VisitOptions } from './visit.js'
import { Wire } from './wire.js'

export interface ListenerOptions extends VisitOptions {
  maxConnections: number
  /** From one address; 0: no limit. */
  maxConnectionsPerClient: number
  /** May this address connect, as the sender of a PROXY header? */
  mayIntroduce(address: string): boolean
  /** null: plaintext. */
  certificate: Certificate | null
  /** A connection has come. */
  visited(): void
  /** The socket cannot be listened on. */
  failed(error: Error): void
}

export class Listener implements VisitEvents {
  private readonly options: ListenerOptions
  private readonly visitOptions: VisitOptions
  private readonly server: Server
  private readonly visits = new Set<Visit>()
  /** Connections that have not told their client yet, or not said hello to TLS. */
  private readonly greeting = new Set<Socket>()
  private readonly perClient = new Map<string, number>()
  private isDraining = false
  private whenEmpty: (() => void) | null = null

  constructor(options: ListenerOptions) {
    this.options = options
    // In front of TLS the header has been read before the handshake.
    this.visitOptions = options.certificate === null ? options : { ...options, proxyHeader: 'none' }
    // Paused: the wire reads by its own means from the first byte on.
    this.server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, socket => this.accept(socket))
    this.server.on('error', error => options.failed(error))
  }

  /** handle: a bound socket as it comes out of the IPC channel. */
  listen(handle: unknown, listening: () => void): void {
    this.server.listen(handle as object, listening)
  }

  /** Accepts nothing more; calls back when the last connection is gone. */
  drain(empty: () => void): void {
    this.isDraining = true
    this.whenEmpty = empty
    this.server.close()
    for (const visit of this.visits) visit.connection?.drain()
    this.tellEmpty()
  }

  /** Open ones. */
  get connections(): number {
    return this.visits.size + this.greeting.size
  }

  destroyAll(): void {
    for (const visit of this.visits) visit.wire.destroy()
    for (const socket of this.greeting) socket.destroy()
  }

  named(visit: Visit): boolean {
    const { maxConnectionsPerClient } = this.options
    if (maxConnectionsPerClient === 0) return true
    const address = visit.wire.remoteAddress
    const count = this.perClient.get(address) ?? 0
    if (count >= maxConnectionsPerClient) return false
    this.perClient.set(address, count + 1)
    visit.isCounted = true
    return true
  }

  known(visit: Visit): void {
    if (this.isDraining) visit.connection?.drain()
  }

  closed(visit: Visit): void {
    if (visit.isCounted) {
      const address = visit.wire.remoteAddress
      const left = (this.perClient.get(address) ?? 1) - 1
      if (left === 0) this.perClient.delete(address)
      else this.perClient.set(address, left)
    }
    this.visits.delete(visit)
    this.tellEmpty()
  }

  private accept(socket: Socket): void {
    const { certificate, proxyHeader, mayIntroduce, maxConnections } = this.options
    const address = clientAddress(socket.remoteAddress)
    if (this.connections >= maxConnections) socket.destroy()
    else if (proxyHeader === 'required' && !mayIntroduce(address)) socket.destroy()
    else if (certificate === null) this.visit(Wire.accepted(socket, address))
    else if (proxyHeader === 'none') this.greet(socket, address, certificate)
    else this.introduce(socket, client => this.greet(socket, client ?? address, certificate))
  }

  /** The PROXY header in front of TLS. */
  private introduce(socket: Socket, told: (client: string | null) => void): void {
    this.greeting.add(socket)
    const left = () => {
      this.greeting.delete(socket)
      this.tellEmpty()
    }
    socket.once('close', left)
    readIntroduction(socket, this.options.firstBytesMs, client => {
      socket.off('close', left)
      this.greeting.delete(socket)
      told(client)
    })
  }

  private visit(wire: Wire): void {
    this.visits.add(new Visit(wire, this.visitOptions, this))
    this.options.visited()
  }

  /** TLS first; a client that does not finish its hello in time is let go. */
  private greet(socket: Socket, address: string, certificate: Certificate): void {
    const { context } = certificate
    const secure = new TLSSocket(socket, { isServer: true, secureContext: context, ALPNProtocols: ['h2', 'http/1.1'] })
    const limit = setTimeout(() => secure.destroy(), this.options.firstBytesMs)
    const left = () => {
      clearTimeout(limit)
      this.greeting.delete(secure)
      this.tellEmpty()
    }
    this.greeting.add(secure)
    // A handshake that fails is the client's business; 'close' follows.
    const failed = () => secure.destroy()
    secure.on('error', failed)
    secure.once('close', left)
    secure.once('secure', () => {
      secure.off('close', left)
      secure.off('error', failed)
      this.visit(Wire.over(secure, address))
      left()
    })
  }

  private tellEmpty(): void {
    if (this.connections > 0 || this.whenEmpty === null) return
    this.whenEmpty()
    this.whenEmpty = null
  }
}

/** An IPv4 client of a dual-stack socket is told as IPv4. */
function clientAddress(address: string | undefined): string {
  if (address === undefined) return 'unknown'
  return address.startsWith('::ffff:') ? address.slice(7) : address
}
