// A door: accepts connections within the limits, has TLS spoken where it is the TLS door, and follows each to its end.
import { createServer, type Server, type Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Certificate } from './certificate.js'
import type { Guest, Guests } from './guests.js'
import { readIntroduction } from './introduction.js'
import { Visit, type VisitEvents, type VisitOptions } from './visit.js'
import { Wire } from './wire.js'

export interface ListenerOptions extends VisitOptions {
  /** The worker's, of all its doors. */
  guests: Guests
  /** May this address connect, as the sender of a PROXY header?  `by name`: it is on the list; `as anybody`: there is no list. */
  mayIntroduce(address: string): 'by name' | 'as anybody' | 'no'
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

  known(visit: Visit): void {
    if (this.isDraining) visit.connection?.drain()
  }

  closed(visit: Visit): void {
    visit.guest.leave()
    this.visits.delete(visit)
    this.tellEmpty()
  }

  private accept(socket: Socket): void {
    const { certificate, proxyHeader, guests } = this.options
    const address = clientAddress(socket.remoteAddress)
    const isIntroduced = proxyHeader === 'required'
    const welcome = isIntroduced ? this.options.mayIntroduce(address) : 'as anybody'
    // A proxy of ours opens any number of connections for others: they count for those, as soon as it says for whom.
    const guest = welcome === 'no' ? null : guests.admit(welcome === 'by name' ? null : address)
    if (guest === null) socket.destroy()
    else if (certificate === null) this.visit(Wire.accepted(socket, address), guest)
    else if (isIntroduced) this.introduce(socket, guest, client => this.greet(socket, client ?? address, guest, certificate))
    else this.greet(socket, address, guest, certificate)
  }

  /** The PROXY header in front of TLS. */
  private introduce(socket: Socket, guest: Guest, told: (client: string | null) => void): void {
    const left = this.follow(socket, guest)
    readIntroduction(socket, this.options.firstBytesMs, client => {
      socket.off('close', left)
      this.greeting.delete(socket)
      told(client)
    })
  }

  private visit(wire: Wire, guest: Guest): void {
    this.visits.add(new Visit(wire, guest, this.visitOptions, this))
    this.options.visited()
  }

  /** TLS first; a client that does not finish its hello in time is let go. */
  private greet(socket: Socket, address: string, guest: Guest, certificate: Certificate): void {
    const { context } = certificate
    const secure = new TLSSocket(socket, { isServer: true, secureContext: context, ALPNProtocols: ['h2', 'http/1.1'] })
    const left = this.follow(secure, guest)
    if (!guest.named(address)) {
      secure.destroy()
      return
    }
    const limit = setTimeout(() => secure.destroy(), this.options.firstBytesMs)
    const stop = () => clearTimeout(limit)
    // A handshake that fails is the client's business; 'close' follows.
    const failed = () => secure.destroy()
    secure.on('error', failed)
    secure.once('close', stop)
    secure.once('secure', () => {
      stop()
      secure.off('close', stop)
      secure.off('close', left)
      secure.off('error', failed)
      this.greeting.delete(secure)
      this.visit(Wire.over(secure, address), guest)
    })
  }

  /** It has not said who it is.  Returns what its end is heard by. */
  private follow(socket: Socket, guest: Guest): () => void {
    const left = () => {
      this.greeting.delete(socket)
      guest.leave()
      this.tellEmpty()
    }
    this.greeting.add(socket)
    socket.once('close', left)
    return left
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
