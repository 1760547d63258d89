// The far end of a wire that keeps what is written, for connections without a network.
import { Duplex } from 'node:stream'

export class Sink extends Duplex {
  readonly chunks: Buffer[] = []
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.chunks.push(Buffer.from(chunk))
    done()
  }
  override _read(): void {}
}
