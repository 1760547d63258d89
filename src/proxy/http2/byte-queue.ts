// Bytes of one stream that wait for a window or for the connection: copied in, taken off in order.

// Small messages share a chunk: a stalled stream must not hold a buffer for each of them.
const CHUNK_BYTES = 4096
const NOTHING = Buffer.alloc(0)

export class ByteQueue {
  bytes = 0
  private readonly full: Buffer[] = []
  /** The chunk that is being filled, behind all full ones. */
  private tail: Buffer = NOTHING
  private tailEnd = 0
  /** Of the first chunk: how much is gone. */
  private offset = 0

  /** Copies chunk[start, end). */
  push(chunk: Buffer, start: number, end: number): void {
    const count = end - start
    this.bytes += count
    const fits = Math.min(count, this.tail.length - this.tailEnd)
    chunk.copy(this.tail, this.tailEnd, start, start + fits)
    this.tailEnd += fits
    if (fits === count) return
    if (this.tailEnd > 0) this.full.push(this.tail)
    this.tail = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, count - fits))
    this.tailEnd = chunk.copy(this.tail, 0, start + fits, end)
  }

  /** Moves the first `count` bytes (<= bytes) to target[at…]. */
  take(count: number, target: Buffer, at: number): void {
    this.bytes -= count
    let to = at
    let left = count
    while (left > 0) {
      const isTail = this.full.length === 0
      const first = isTail ? this.tail : this.full[0]!
      const end = isTail ? this.tailEnd : first.length
      const piece = Math.min(left, end - this.offset)
      first.copy(target, to, this.offset, this.offset + piece)
      to += piece
      left -= piece
      this.offset += piece
      if (this.offset < end) continue
      this.offset = 0
      if (isTail) this.tailEnd = 0
      else this.full.shift()
    }
  }
}
