// Bytes into lines, whatever the pieces they come in.

/** A longer line is cut here: a program that never ends its line must not fill our memory. */
export const MAX_LINE_BYTES = 262_144
const NEWLINE = 0x0a

/** Lines come out without their newline.  Bytes are never changed, so split UTF-8 comes together again. */
export class LineSplitter {
  private parts: Buffer[] = []
  private heldBytes = 0

  /** True where a line has begun and not ended. */
  get isHolding(): boolean {
    return this.heldBytes > 0
  }

  /** Returns the lines that end in these bytes. */
  push(bytes: Buffer): Buffer[] {
    const lines: Buffer[] = []
    let from = 0
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, from)) {
      lines.push(this.finish(bytes.subarray(from, at)))
      from = at + 1
    }
    if (from < bytes.length) this.hold(bytes.subarray(from))
    if (this.heldBytes >= MAX_LINE_BYTES) lines.push(this.finish(bytes.subarray(0, 0)))
    return lines
  }

  /** What is held of a line that has not ended; null where there is nothing. */
  flush(): Buffer | null {
    return this.isHolding ? this.finish(Buffer.alloc(0)) : null
  }

  private hold(bytes: Buffer): void {
    // A copy: the piece is a window on a whole read's buffer, and a thousand one-byte pieces must not keep a thousand of those.
    this.parts.push(Buffer.from(bytes))
    this.heldBytes += bytes.length
  }

  private finish(last: Buffer): Buffer {
    const line = this.parts.length === 0 ? last : Buffer.concat([...this.parts, last])
    this.parts = []
    this.heldBytes = 0
    return line
  }
}
