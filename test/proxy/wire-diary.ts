// Whoever owns a wire in a test, and writes down what happens to it.
import type { Wire, WireOwner } from '../../src/proxy/wire.js'

export class WireDiary implements WireOwner {
  readonly wire: Wire
  readonly chunks: Buffer[] = []
  bytes = 0
  readonly events: string[] = []
  onReceived: (() => void) | null = null

  constructor(wire: Wire) {
    this.wire = wire
    wire.owner = this
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1')
  }

  received(chunk: Buffer, start: number, end: number): void {
    this.bytes += end - start
    this.chunks.push(Buffer.from(chunk.subarray(start, end)))
    this.onReceived?.()
  }

  ended(): void {
    this.events.push('ended')
  }

  closed(error: Error | null): void {
    this.events.push(error === null ? 'closed' : `closed: ${error.message}`)
  }

  writable(): void {
    this.events.push('writable')
  }

  send(text: string): void {
    this.wire.append(Buffer.from(text, 'latin1'), 0, text.length)
    this.wire.touch()
  }
}
