// Bytes that came before their time: pipelined requests, or what a client sends before its upgrade is answered.
const NOTHING = Buffer.alloc(0)

export class EarlyBytes {
  length = 0
  private bytes: Buffer = NOTHING

  append(chunk: Buffer, start: number, end: number): void {
    const length = this.length + end - start
    if (length > this.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(length, this.bytes.length * 2))
      this.bytes.copy(larger, 0, 0, this.length)
      this.bytes = larger
    }
    chunk.copy(this.bytes, this.length, start, end)
    this.length = length
  }

  /** Hands them out, and is empty. */
  take(): Buffer {
    const taken = this.bytes.subarray(0, this.length)
    this.clear()
    return taken
  }

  clear(): void {
    this.bytes = NOTHING
    this.length = 0
  }
}
