// One port, two protocols: the first bytes of a connection say whether it speaks h2c or HTTP/1.1.
import { createServer, type Server, type Socket } from 'node:net'

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

export interface ListenerOptions {
  maxConnections: number
  /** A connection that has not said enough by then is closed. */
  firstBytesMs: number
  http1(socket: Socket): void
  http2(socket: Socket): void
  /** The socket cannot be listened on. */
  failed(error: Error): void
}

export class Listener {
  private readonly options: ListenerOptions
  private readonly server: Server
  private readonly sockets = new Set<Socket>()
  private whenEmpty: (() => void) | null = null

  constructor(options: ListenerOptions) {
    this.options = options
    this.server = createServer({ allowHalfOpen: true, noDelay: true }, socket => this.accept(socket))
    this.server.maxConnections = options.maxConnections
    this.server.on('error', error => options.failed(error))
  }

  /** handle: a bound socket as it comes out of the IPC channel. */
  listen(handle: unknown, listening: () => void): void {
    this.server.listen(handle as object, listening)
  }

  /** Accepts nothing more; calls back when the last connection is gone. */
  stop(empty: () => void): void {
    this.whenEmpty = empty
    this.server.close()
    this.tellEmpty()
  }

  destroyAll(): void {
    for (const socket of this.sockets) socket.destroy()
  }

  private accept(socket: Socket): void {
    this.sockets.add(socket)
    socket.on('close', () => {
      this.sockets.delete(socket)
      this.tellEmpty()
    })
    sniff(socket, this.options)
  }

  private tellEmpty(): void {
    if (this.sockets.size > 0 || this.whenEmpty === null) return
    this.whenEmpty()
    this.whenEmpty = null
  }
}

/** Reads until the protocol is certain, puts the bytes back and hands the socket over. */
function sniff(socket: Socket, options: ListenerOptions): void {
  let seen: Buffer = Buffer.alloc(0)
  const gone = () => socket.destroy()
  const timer = setTimeout(gone, options.firstBytesMs)
  const read = (chunk: Buffer) => {
    seen = seen.length === 0 ? chunk : Buffer.concat([seen, chunk])
    const length = Math.min(seen.length, PREFACE.length)
    const fits = PREFACE.compare(seen, 0, length, 0, length) === 0
    if (fits && length < PREFACE.length) return
    clearTimeout(timer)
    socket.off('data', read)
    socket.off('end', gone)
    socket.off('error', gone)
    socket.pause()
    socket.unshift(seen)
    if (fits) return options.http2(socket)
    options.http1(socket)
    // The parser listens now; it does not start a paused socket by itself.
    process.nextTick(() => socket.resume())
  }
  socket.on('data', read)
  socket.on('end', gone)
  socket.on('error', gone)
  socket.on('close', () => clearTimeout(timer))
}
