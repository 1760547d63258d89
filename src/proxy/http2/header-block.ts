// A header block that comes in pieces: HEADERS and its CONTINUATIONs, put together.

export class HeaderBlock {
  /** Its stream; 0: no block is open. */
  id = 0
  /** Of its HEADERS frame. */
  flags = 0
  /** How many pieces came. */
  frames = 0
  bytes: Buffer | null = null
  length = 0

  begin(id: number, flags: number): void {
    this.id = id
    this.flags = flags
    this.frames = 0
    this.length = 0
  }

  add(chunk: Buffer, from: number, to: number): void {
    const length = this.length + to - from
    if (this.bytes === null || this.bytes.length < length) {
      const larger = Buffer.allocUnsafe(Math.max(length, this.length * 2))
      this.bytes?.copy(larger, 0, 0, this.length)
      this.bytes = larger
    }
    chunk.copy(this.bytes, this.length, from, to)
    this.length = length
    this.frames++
  }

  /** Complete.  Returns its bytes, which are the caller's now. */
  close(): Buffer {
    const bytes = this.bytes!
    this.id = 0
    this.bytes = null
    return bytes
  }
}
