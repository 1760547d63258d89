// Counts and measures the messages of a gRPC body as it goes by, whatever its pieces: five bytes of prefix, then as many as they say.

export class MessageCounter {
  count = 0
  /** The longest message so far, by its prefix and as it is sent, which is compressed where it is. */
  longest = 0
  /** Bytes of the current message that are still to come. */
  private left = 0
  /** Bytes of the current prefix that have come, and its length so far. */
  private prefixBytes = 0
  private length = 0

  /** A message has begun that is not here as a whole. */
  get isMidMessage(): boolean {
    return this.left > 0 || this.prefixBytes > 0
  }

  add(chunk: Uint8Array, start: number, end: number): void {
    let at = start
    while (at < end) {
      if (this.left > 0) {
        const step = Math.min(this.left, end - at)
        this.left -= step
        at += step
      } else if (this.prefixBytes === 0 && end - at >= PREFIX_BYTES) {
        // A body of empty messages is nothing but prefixes, 200,000 to the MiB: 1 ms instead of 20 byte by byte.
        this.begins(((chunk[at + 1]! << 24) | (chunk[at + 2]! << 16) | (chunk[at + 3]! << 8) | chunk[at + 4]!) >>> 0)
        at += PREFIX_BYTES
      } else {
        const byte = chunk[at++]!
        // The first byte is the compressed flag.
        if (this.prefixBytes > 0) this.length = this.length * 256 + byte
        if (++this.prefixBytes === PREFIX_BYTES) this.begins(this.length)
      }
    }
  }

  /** A whole prefix has come. */
  private begins(length: number): void {
    this.count++
    this.left = length
    if (length > this.longest) this.longest = length
    this.prefixBytes = 0
    this.length = 0
  }
}

const PREFIX_BYTES = 5
