// A head that comes in pieces: kept until its blank line, and given up as soon as no head can come of it.
//
// The slow path: nearly every head arrives in one piece and is parsed where it was read.
const HTAB = 0x09
const LF = 0x0a
const CR = 0x0d
const FIRST_BYTES = 2048

const NOTHING = Buffer.alloc(0)

export class PartialHead {
  bytes: Buffer = NOTHING
  length = 0
  /** `bad`: a bare CR or LF or a control byte.  `large`: more than the limit without an end. */
  state: 'more' | 'complete' | 'bad' | 'large' = 'more'
  /** The first line is complete. */
  hasLine = false
  private readonly maxBytes: number
  private readonly before: number
  /** Bytes of CRLFCRLF that the last bytes are. */
  private matched: number

  /** Trailers follow a line: where there are none, a mere CRLF ends them. */
  constructor(maxBytes: number, kind: 'head' | 'trailers') {
    this.maxBytes = maxBytes
    this.before = kind === 'head' ? 0 : 2
    this.matched = this.before
  }

  get isEmpty(): boolean {
    return this.length === 0
  }

  /** Why no head can come of it; '' while one can. */
  get fault(): string {
    if (this.state === 'bad') return 'a bare CR or LF, or a control byte, in the head'
    return this.state === 'large' ? `a head may have ${this.maxBytes} bytes` : ''
  }

  /** Copies from chunk[at, end) up to the head's end.  Returns what is next: `end`, or less where the state is no longer `more`. */
  take(chunk: Buffer, at: number, end: number): number {
    const most = Math.min(end, at + this.maxBytes + 1 - this.length)
    this.ensure(most - at)
    const { bytes } = this
    let { length, matched } = this
    while (at < most && matched < 4) {
      const byte = chunk[at++]!
      bytes[length++] = byte
      if (byte === LF ? (matched & 1) === 0 : (matched & 1) === 1 || isControl(byte)) {
        this.state = 'bad'
        break
      }
      matched = byte === CR || byte === LF ? matched + 1 : 0
      if (matched === 2 && length > 2) this.hasLine = true
    }
    this.length = length
    this.matched = matched
    if (this.state === 'bad') return at
    if (matched === 4) this.state = 'complete'
    else if (length > this.maxBytes) this.state = 'large'
    return at
  }

  clear(): void {
    this.bytes = NOTHING
    this.length = 0
    this.matched = this.before
    this.state = 'more'
    this.hasLine = false
  }

  private ensure(more: number): void {
    const wanted = this.length + more
    if (wanted <= this.bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_BYTES, wanted, this.bytes.length * 2))
    this.bytes.copy(larger, 0, 0, this.length)
    this.bytes = larger
  }
}

function isControl(byte: number): boolean {
  return byte < 0x20 ? byte !== HTAB && byte !== CR : byte === 0x7f
}
