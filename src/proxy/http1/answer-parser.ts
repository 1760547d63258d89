// The head of a service's answer: its line and its fields, judged as strictly as a request's, and what they say about the body.
import type { HeadLimits } from '../head-limits.js'
import { IN_CHUNKS, UNTIL_CLOSE } from './body-decoder.js'
import { FieldLines, valueEnd } from './field-lines.js'
import { areDigits, headEnd, minorOf, tooLarge } from './head-parser.js'
import { latin1Slice } from './latin1.js'
import { PartialHead } from './partial-head.js'

const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20

const NO_STATUS_LINE = 'the answer does not begin with a status line of HTTP/1'

const BEGINNING = Buffer.from('HTTP/1.', 'latin1')

/** Can an answer begin with these bytes? */
function mayBeAnswer(bytes: Buffer, length: number): boolean {
  const known = Math.min(length, BEGINNING.length)
  return bytes.compare(BEGINNING, 0, known, 0, known) === 0
}

/** Parses answers' heads one after the other; what it says is about the last one. */
export class AnswerParser {
  readonly lines = new FieldLines()
  status = 0
  minor = 1
  /** Why the answer is refused; '' where it is sound. */
  fault = ''
  /** That is why: it is larger than the limits. */
  isTooLarge = false
  /** How far `read` has read. */
  at = 0
  private readonly limits: HeadLimits
  private readonly partial: PartialHead

  constructor(limits: HeadLimits) {
    this.limits = limits
    this.partial = new PartialHead(limits.maxHeaderBytes, 'head')
  }

  /** Reads on in bytes[at, end), to `this.at`: up to the end of one head, which is then judged. */
  read(bytes: Buffer, at: number, end: number): 'more' | 'sound' | 'refused' {
    const { partial, limits } = this
    const bound = partial.isEmpty ? headEnd(bytes, at, end) : -1
    if (bound !== -1 && bound - at <= limits.maxHeaderBytes) {
      this.at = bound
      return this.parse(bytes, at, bound) ? 'sound' : 'refused'
    }
    this.at = partial.take(bytes, at, end)
    if (partial.state === 'complete') {
      this.parse(partial.bytes, 0, partial.length)
      partial.clear()
      return this.fault === '' ? 'sound' : 'refused'
    }
    // A service that speaks something else may never send a blank line.
    this.fault = mayBeAnswer(partial.bytes, partial.length) ? partial.fault : NO_STATUS_LINE
    this.isTooLarge = partial.state === 'large' && this.fault !== NO_STATUS_LINE
    return this.fault === '' ? 'more' : 'refused'
  }

  /** Forgets what is here of a head. */
  clear(): void {
    this.partial.clear()
  }

  /** bytes[start, end): a head with its blank line. */
  parse(bytes: Buffer, start: number, end: number): boolean {
    this.fault = ''
    this.isTooLarge = false
    const { lines, limits } = this
    const linesAt = this.parseLine(bytes, start, end)
    if (linesAt === -1) return false
    const text = latin1Slice(bytes, start, end)
    if (!lines.parse(bytes, linesAt, end - 2, text, start, limits))
      return lines.isTooLarge ? this.refuseTooLarge() : this.refuse(lines.fault)
    if (lines.size + linesAt - start > limits.maxHeaderBytes) return this.refuseTooLarge()
    return this.judgeFraming()
  }

  private refuseTooLarge(): boolean {
    this.isTooLarge = true
    return this.refuse(tooLarge(this.limits))
  }

  private refuse(fault: string): boolean {
    this.fault = fault
    return false
  }

  /** The status line (RFC 9112 4).  The space behind the number is often forgotten where no reason follows. */
  private parseLine(bytes: Buffer, start: number, end: number): number {
    const minor = minorOf(bytes, start)
    const status = (bytes[start + 9]! - 0x30) * 100 + (bytes[start + 10]! - 0x30) * 10 + bytes[start + 11]! - 0x30
    if (minor < 0 || bytes[start + 8] !== SPACE || !areDigits(bytes, start + 9, start + 12) || status < 100) {
      this.refuse(NO_STATUS_LINE)
      return -1
    }
    let at = start + 12
    if (bytes[at] === SPACE) at = valueEnd(bytes, at)
    if (bytes[at] !== CR || bytes[at + 1] !== LF || at + 2 >= end) {
      this.refuse('a bare CR or LF, or a control byte, in the status line')
      return -1
    }
    this.minor = minor
    this.status = status
    return at + 2
  }

  /** F 73. */
  private judgeFraming(): boolean {
    const { lines } = this
    if (lines.lengths > 1) return this.refuse('more than one Content-Length field in the answer')
    if (lines.length === -1) return this.refuse('the answer’s Content-Length is not a plain number')
    if (lines.codings === 0) return true
    if (lines.lengths > 0) return this.refuse('both Content-Length and Transfer-Encoding in the answer')
    if (lines.codings > 1 || lines.coding !== 'chunked') return this.refuse('the answer has a Transfer-Encoding that is not chunked')
    return this.minor === 1 || this.refuse('Transfer-Encoding in an HTTP/1.0 answer')
  }

  /** The body's length behind this head: 0 for none, IN_CHUNKS, UNTIL_CLOSE (RFC 9112 6.3).  method: of the request. */
  bodyLength(method: string): number {
    const { lines, status } = this
    if (status === 204 || status === 304 || method === 'HEAD') return 0
    if (lines.codings > 0) return IN_CHUNKS
    return lines.lengths > 0 ? lines.length : UNTIL_CLOSE
  }

  /** It agrees to the upgrade that was asked for. */
  get isWebSocket(): boolean {
    return this.lines.webSocket && this.lines.connectionUpgrade && this.minor === 1
  }

  /** The connection can be used again behind this answer. */
  get keeps(): boolean {
    const { lines } = this
    // A 204 that announces a body may be followed by one.
    if (this.status === 204 && (lines.length > 0 || lines.codings > 0)) return false
    return !lines.close && (this.minor === 1 || lines.keepAlive)
  }
}
