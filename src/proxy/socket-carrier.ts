// A socket of ours under a wire: what the kernel does not take at once waits here, in order.
import type { Socket } from 'node:net'
import { constants } from 'node:os'
import { getSystemErrorName } from 'node:util'
import type { EndpointAddress } from '../core/spec.js'
import type { Carried, Carrier } from './carrier.js'
import { adopt, close, connect, native, READING, type SocketOwner, WRITING } from './sockets.js'

interface Waiting {
  bytes: Buffer
  start: number
  end: number
}

const GONE = -1
const { EPIPE, ECONNRESET } = constants.errno

export class SocketCarrier implements Carrier, SocketOwner {
  pendingBytes = 0
  private readonly wire: Carried
  private slot = GONE
  private readonly waiting: Waiting[] = []
  private isReading = false
  private isEnding = false
  private hasPeerEnded = false
  /** Called once it is connected; null: it is. */
  private connected: (() => void) | null = null
  /** For messages. */
  private target = ''
  /** The peer takes nothing any more: why.  What it sent before is still heard. */
  private refusal: Error | null = null

  private constructor(wire: Carried) {
    this.wire = wire
  }

  /** Takes over a connected socket from which nothing has been read; `resume` begins to.  null: it cannot be taken. */
  static take(socket: Socket, wire: Carried): SocketCarrier | null {
    const carrier = new SocketCarrier(wire)
    carrier.slot = adopt(socket, carrier) ?? GONE
    return carrier.slot === GONE ? null : carrier
  }

  /** Begins to connect; what is written meanwhile waits.  null: Node must do it, with a name to look up for one. */
  static connect(address: EndpointAddress, wire: Carried, connected: () => void): SocketCarrier | null {
    const carrier = new SocketCarrier(wire)
    const slot = connect(address, carrier)
    if (slot === null) return null
    carrier.connected = connected
    carrier.target = 'socket' in address ? address.socket : `${address.host}:${address.port}`
    carrier.isReading = true
    if (slot >= 0) carrier.slot = slot
    else carrier.tellClosed(carrier.notConnected(-slot))
    return carrier
  }

  write(bytes: Buffer, length: number): boolean {
    if (this.slot === GONE || this.refusal !== null) return true
    if (this.pendingBytes > 0 || this.connected !== null) return this.keep(bytes, 0, length)
    const sent = native.send(this.slot, bytes, 0, length)
    if (sent === length) return true
    if (sent >= 0) return this.keep(bytes, sent, length)
    this.refused(-sent)
    return true
  }

  private keep(bytes: Buffer, start: number, end: number): boolean {
    this.waiting.push({ bytes, start, end })
    this.pendingBytes += end - start
    return false
  }

  writable(): void {
    const { waiting, connected } = this
    if (connected !== null) {
      this.connected = null
      connected()
      if (this.slot === GONE) return
    }
    let done = 0
    for (const part of waiting) {
      const sent = native.send(this.slot, part.bytes, part.start, part.end)
      if (sent < 0) {
        this.refused(-sent)
        return
      }
      this.pendingBytes -= sent
      part.start += sent
      if (part.start < part.end) break
      done++
    }
    waiting.splice(0, done)
    if (waiting.length > 0) return
    if (this.isEnding) this.shutdown()
    else this.wire.drained()
  }

  pause(): void {
    this.watch(false)
  }

  resume(): void {
    this.watch(true)
  }

  private watch(isReading: boolean): void {
    if (this.isReading === isReading || this.slot === GONE || this.hasPeerEnded) return
    this.isReading = isReading
    native.watch(this.slot, (isReading ? READING : 0) | (this.isWaiting ? WRITING : 0))
  }

  /** For the connection, or for room. */
  private get isWaiting(): boolean {
    return this.pendingBytes > 0 || this.connected !== null
  }

  data(chunk: Buffer, start: number, end: number): void {
    this.wire.data(chunk, start, end)
  }

  peerEnded(): void {
    this.hasPeerEnded = true
    if (this.refusal !== null) {
      this.leave(this.refusal, false)
      return
    }
    this.wire.peerEnded()
    if (this.isEnding && this.pendingBytes === 0) this.leave(null, false)
  }

  failed(errno: number): void {
    this.leave(this.connected === null ? failure('read', errno) : this.notConnected(errno), false)
  }

  end(): void {
    if (this.isEnding || this.slot === GONE) return
    this.isEnding = true
    if (!this.isWaiting) this.shutdown()
  }

  private shutdown(): void {
    if (this.hasPeerEnded) this.leave(null, false)
    else native.shutdown(this.slot)
  }

  destroy(): void {
    this.leave(null, false)
  }

  reset(): void {
    this.leave(null, true)
  }

  /** A service that has refused a body and left has mostly said so before. */
  private refused(errno: number): void {
    const error = failure('write', errno)
    const isPeerGone = errno === EPIPE || errno === ECONNRESET
    if (isPeerGone && this.isReading && !this.hasPeerEnded) {
      this.refusal = error
      this.drop()
    } else this.leave(error, false)
  }

  private drop(): void {
    this.waiting.length = 0
    this.pendingBytes = 0
  }

  private leave(error: Error | null, isReset: boolean): void {
    if (this.slot === GONE) return
    close(this.slot, isReset)
    this.slot = GONE
    this.drop()
    this.tellClosed(error)
  }

  private tellClosed(error: Error | null): void {
    process.nextTick(() => this.wire.closed(error))
  }

  private notConnected(errno: number): Error {
    const error = failure('connect', errno)
    error.message += ` ${this.target}`
    return error
  }
}

function failure(what: 'connect' | 'read' | 'write', errno: number): Error {
  return new Error(`${what} ${getSystemErrorName(-errno)}`)
}
