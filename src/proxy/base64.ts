// Base64 in pieces of any size, strictly: gRPC-Web's text form, where every flush of the sender may end with padding of its own.

const ALPHABET = /^[A-Za-z0-9+/]*={0,2}$/

export class Base64Reader {
  private rest = ''

  /** Returns the bytes that are certain by now; null where the text is not base64. */
  read(chunk: Buffer, start: number, end: number): Buffer | null {
    const text = this.rest + chunk.toString('latin1', start, end)
    const whole = text.length - (text.length % 4)
    this.rest = text.slice(whole)
    const pieces: Buffer[] = []
    // Padding ends a piece, not the text: the next one begins on a multiple of four.
    for (let at = 0; at < whole; ) {
      const padding = text.indexOf('=', at)
      const until = padding === -1 || padding >= whole ? whole : padding - (padding % 4) + 4
      const piece = text.slice(at, until)
      if (!ALPHABET.test(piece)) return null
      pieces.push(Buffer.from(piece, 'base64'))
      at = until
    }
    return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
  }

  /** Has the text ended where it may? */
  get isComplete(): boolean {
    return this.rest === ''
  }
}

export class Base64Writer {
  private carry: Buffer = Buffer.alloc(0)

  /** Text for the bytes that fill groups of three; up to two wait for the next call. */
  write(chunk: Buffer, start: number, end: number): Buffer {
    const bytes = Buffer.concat([this.carry, chunk.subarray(start, end)])
    const whole = bytes.length - (bytes.length % 3)
    this.carry = bytes.subarray(whole)
    return Buffer.from(bytes.toString('base64', 0, whole), 'latin1')
  }

  /** The end, padded. */
  rest(): Buffer {
    const text = this.carry.toString('base64')
    this.carry = Buffer.alloc(0)
    return Buffer.from(text, 'latin1')
  }
}
