// A duplex of Node's under a wire: TLS, and every socket where native/sockets.node is not there.
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Carried, Carrier } from './carrier.js'

export class DuplexCarrier implements Carrier {
  private readonly duplex: Duplex
  private error: Error | null = null

  constructor(duplex: Duplex, wire: Carried) {
    this.duplex = duplex
    duplex.on('data', (chunk: Buffer) => wire.data(chunk, 0, chunk.length))
    duplex.on('end', () => wire.peerEnded())
    duplex.on('drain', () => wire.drained())
    duplex.on('error', error => {
      this.error ??= error
    })
    duplex.on('close', () => wire.closed(this.error))
  }

  write(bytes: Buffer, length: number): boolean {
    this.duplex.write(length === bytes.length ? bytes : bytes.subarray(0, length))
    return this.duplex.writableLength === 0
  }

  get pendingBytes(): number {
    return this.duplex.writableLength
  }

  pause(): void {
    this.duplex.pause()
  }

  resume(): void {
    this.duplex.resume()
  }

  end(): void {
    this.duplex.end()
  }

  destroy(): void {
    this.duplex.destroy()
  }

  reset(): void {
    if (this.duplex instanceof Socket) this.duplex.resetAndDestroy()
    else this.duplex.destroy()
  }
}
