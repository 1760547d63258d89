// The head of an HTTP/1 request: its line and its fields, judged so strictly that only one reading fits.
//
// The end is found by indexOf, the head becomes one latin1 string, and one pass over its bytes cuts names and values out of it.
// Per head, `read` in a loop over 2e5, process.cpuUsage, Node 20.20.2 on a busy machine: wrk's (1 field, 43 bytes) 0.5 µs, a browser's (15 fields,
// 700 bytes) 3.2 µs, nginx's answer (5 fields, 150 bytes) 1.1 µs; with a table for values and a hash over names it was 0.7, 4.6 and 1.5.
import type { AccessEntry } from '../../core/access-line.js'
import { isHost } from '../authority.js'
import type { HeadLimits } from '../head-limits.js'
import { NOTHING_MARKED } from '../http2/hpack/never-indexed.js'
import type { RequestHead } from '../stream.js'
import { FieldLines } from './field-lines.js'
import { latin1Slice } from './latin1.js'
import { PartialHead } from './partial-head.js'

const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const BLANK_LINE = Buffer.from('\r\n\r\n', 'latin1')
/** Names of methods are short; a long first word is no request. */
const MAX_METHOD_BYTES = 32

const FOREIGN_VERSION = /^(?!http\/)[a-z]/i

/** HTTP/1.0 without Host may still name whom it asks: ab does behind a proxy (-X). */
const NAMED_BY_TARGET = /^https?:\/\/([^/?#]*)/i

/** Statuses with which a request is refused before it has become a head. */
export type RefusedStatus = 400 | 408 | 414 | 417 | 431 | 501 | 505

// Upper case only (F 33): methods are case-sensitive, and a service that folds them would see another one than we do.
const METHOD = new Uint8Array(256)
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_') METHOD[char.charCodeAt(0)] = 1
const DELETE = 0x7f

/** Where the first head in bytes[start, end) ends, its blank line included; -1 where it is not complete. */
export function headEnd(bytes: Buffer, start: number, end: number): number {
  const at = bytes.indexOf(BLANK_LINE, start)
  return at === -1 || at + 4 > end ? -1 : at + 4
}

/** Parses requests' heads one after the other; what it says is about the last one. */
export class RequestParser {
  readonly lines = new FieldLines()
  method = ''
  target = ''
  /** 0 or 1, of HTTP/1.x. */
  minor = 1
  /** The body's length; -1: chunked. */
  contentLength = 0
  upgrade: 'websocket' | null = null
  /** 0 where the head is sound, else the status that refuses it, and why. */
  status: 0 | RefusedStatus = 0
  message = ''
  /** What came is no HTTP of any version: whoever sent it could take no answer for one (h2spec 3.5/2 fails any text). */
  isForeign = false
  /** How far `read` has read. */
  at = 0
  /** `lines` are of this head. */
  private hasFields = false
  private readonly limits: HeadLimits
  private readonly partial: PartialHead

  constructor(limits: HeadLimits) {
    this.limits = limits
    this.partial = new PartialHead(limits.maxHeaderBytes, 'head')
  }

  /** Some of a head is here. */
  get hasBegun(): boolean {
    return !this.partial.isEmpty
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
    const { state } = partial
    if (state === 'more') return 'more'
    if (state === 'complete') this.parse(partial.bytes, 0, partial.length)
    else if (state === 'bad') this.giveUp(400, partial.fault)
    else if (partial.hasLine) this.giveUp(431, partial.fault)
    else this.giveUp(414, `the request line has more than ${limits.maxHeaderBytes} bytes`)
    partial.clear()
    return this.status === 0 ? 'sound' : 'refused'
  }

  /** There will be no more of this head: what its line says is read, for the log. */
  giveUp(status: RefusedStatus, message: string): void {
    const { bytes, length, hasLine } = this.partial
    this.begin()
    if (hasLine) this.parseLine(bytes, lineStart(bytes, 0), length, latin1Slice(bytes, 0, length), 0)
    this.isForeign = false
    this.refuse(status, message)
  }

  /** What is known of a head that was refused. */
  known(client: string): AccessEntry['head'] {
    const { method, target, lines, hasFields } = this
    const version = this.minor === 0 ? 'HTTP/1.0' : 'HTTP/1.1'
    return { version, method, target, authority: hasFields ? lines.host : '', client, fields: hasFields ? lines.fields : [] }
  }

  private begin(): void {
    this.status = 0
    this.message = ''
    this.isForeign = false
    this.upgrade = null
    this.contentLength = 0
    this.method = ''
    this.target = ''
    this.minor = 1
    this.hasFields = false
  }

  /** Forgets what is here of a head. */
  clear(): void {
    this.partial.clear()
  }

  /** bytes[start, end): a head with its blank line. */
  parse(bytes: Buffer, start: number, end: number): boolean {
    this.begin()
    const text = latin1Slice(bytes, start, end)
    const first = lineStart(bytes, start)
    const linesAt = this.parseLine(bytes, first, end, text, start)
    if (linesAt === -1) return false
    const { lines, limits } = this
    this.hasFields = true
    if (!lines.parse(bytes, linesAt, end - 2, text, start, limits)) {
      return lines.isTooLarge ? this.refuse(431, tooLarge(limits)) : this.refuse(400, lines.fault)
    }
    if (lines.size + linesAt - first > limits.maxHeaderBytes) return this.refuse(431, tooLarge(limits))
    return this.judgeHost() && this.judgeFraming() && this.judgeConnection()
  }

  /** The head that was parsed last. */
  head(scheme: string, client: string): RequestHead {
    const { lines, contentLength, upgrade } = this
    return {
      protocol: 'http1',
      version: this.minor === 1 ? 'HTTP/1.1' : 'HTTP/1.0',
      method: this.method,
      target: this.target,
      scheme,
      authority: lines.host,
      fields: lines.fields,
      bodyless: contentLength === 0 && upgrade === null,
      contentLength: upgrade === null ? contentLength : -1,
      upgrade,
      client,
      neverIndexed: NOTHING_MARKED,
    }
  }

  /** The client wants no other request on this connection, or what follows may be meant for a tunnel that was refused. */
  get isLast(): boolean {
    const { lines } = this
    return lines.close || (this.minor === 0 && !lines.keepAlive) || this.upgrade !== null || this.method === 'CONNECT'
  }

  private refuse(status: RefusedStatus, message: string): boolean {
    this.status = status
    this.message = message
    return false
  }

  /** The request line (RFC 9112 3).  Returns where the field lines begin, -1 where it is refused. */
  private parseLine(bytes: Buffer, start: number, end: number, text: string, origin: number): number {
    let at = start
    while (METHOD[bytes[at]!] === 1) at++
    if (at === start || bytes[at] !== SPACE || at - start > MAX_METHOD_BYTES) {
      this.refuse(400, 'the request does not begin with a method in capitals and one space')
      return -1
    }
    this.method = methodOf(bytes, start, at, text, origin)
    const targetStart = ++at
    // What a target may hold is core/route.ts's business; here only what would end it or the line.
    let byte = bytes[at]!
    while (byte > SPACE && byte !== DELETE) byte = bytes[++at]!
    if (at === targetStart || bytes[at] !== SPACE) {
      this.refuse(400, 'the request line is not a method, a target and a version with one space between')
      return -1
    }
    if (at - targetStart > this.limits.maxHeaderBytes) {
      this.refuse(414, `the target has more than ${this.limits.maxHeaderBytes} bytes`)
      return -1
    }
    this.target = text.slice(targetStart - origin, at - origin)
    const minor = minorVersion(bytes, at + 1)
    if (this.method === 'PRI') {
      this.refuse(400, 'the preface of HTTP/2 where a request of HTTP/1 should be')
      return -1
    }
    if (minor < 0 || at + 11 > end - 2) {
      const version = text.slice(at + 1 - origin, at + 9 - origin)
      this.isForeign = FOREIGN_VERSION.test(version)
      this.refuse(
        minor === -505 ? 505 : 400,
        minor === -505 ? `${version} is not served here` : 'the request line does not end with its version',
      )
      return -1
    }
    this.minor = minor
    return at + 11
  }

  /** RFC 9112 3.2; F 28. */
  private judgeHost(): boolean {
    const { lines } = this
    if (lines.hosts > 1) return this.refuse(400, 'more than one Host field')
    if (lines.hosts === 0 && this.minor === 1) return this.refuse(400, 'no Host field')
    if (lines.hosts === 0) {
      const named = NAMED_BY_TARGET.exec(this.target)
      if (named === null) return true
      lines.host = named[1]!
    }
    return isHost(lines.host) || this.refuse(400, 'the Host field is not a host and a port')
  }

  /** RFC 9112 6.1, 6.3; F 1-14. */
  private judgeFraming(): boolean {
    const { lines } = this
    if (lines.lengths > 1) return this.refuse(400, 'more than one Content-Length field')
    if (lines.length === -1) return this.refuse(400, 'Content-Length is not a plain number')
    this.contentLength = lines.length
    if (lines.codings === 0) return true
    if (lines.lengths > 0) return this.refuse(400, 'both Content-Length and Transfer-Encoding')
    if (this.minor === 0) return this.refuse(400, 'Transfer-Encoding in HTTP/1.0')
    if (lines.codings > 1) return this.refuse(400, 'more than one Transfer-Encoding field')
    if (lines.coding !== 'chunked') return this.refuse(501, 'the only Transfer-Encoding served here is chunked')
    this.contentLength = -1
    return true
  }

  /** F 44-46, 48.  An upgrade to anything but WebSocket is not taken up (RFC 9110 7.8 allows that). */
  private judgeConnection(): boolean {
    const { lines } = this
    if (lines.nominatesFraming) return this.refuse(400, 'Connection nominates a field that frames or routes the request')
    if (lines.expectOther) return this.refuse(417, 'the only Expect served here is 100-continue')
    if (!lines.webSocket) return true
    if (this.contentLength !== 0) return this.refuse(400, 'Upgrade on a request with a body')
    if (lines.connectionUpgrade && this.method === 'GET' && this.minor === 1) this.upgrade = 'websocket'
    return true
  }
}

/** One empty line before a request line is forgiven (RFC 9112 2.2). */
function lineStart(bytes: Buffer, start: number): number {
  return bytes[start] === CR && bytes[start + 1] === LF ? start + 2 : start
}

function methodOf(bytes: Buffer, start: number, end: number, text: string, origin: number): string {
  const length = end - start
  if (length === 3 && bytes[start] === 0x47 && bytes[start + 1] === 0x45 && bytes[start + 2] === 0x54) return 'GET'
  if (length === 4 && bytes[start] === 0x50 && bytes[start + 1] === 0x4f && bytes[start + 2] === 0x53 && bytes[start + 3] === 0x54)
    return 'POST'
  return text.slice(start - origin, end - origin)
}

/** x of `HTTP/1.x` and CRLF at this place; -505 for another version of HTTP, -400 for no version. */
function minorVersion(bytes: Buffer, at: number): number {
  if (bytes[at + 8] !== CR || bytes[at + 9] !== LF) return -400
  const minor = minorOf(bytes, at)
  if (minor >= 0) return minor
  const isOther = isHttp(bytes, at) && areDigits(bytes, at + 5, at + 6) && areDigits(bytes, at + 7, at + 8) && bytes[at + 5] !== 0x30
  return isOther && bytes[at + 6] === 0x2e ? -505 : -400
}

/** x of `HTTP/1.x` at this place, -1 for anything else. */
export function minorOf(bytes: Buffer, at: number): number {
  if (!isHttp(bytes, at) || bytes[at + 5] !== 0x31 || bytes[at + 6] !== 0x2e) return -1
  const minor = bytes[at + 7]! - 0x30
  return minor === 0 || minor === 1 ? minor : -1
}

function isHttp(bytes: Buffer, at: number): boolean {
  return bytes[at] === 0x48 && bytes[at + 1] === 0x54 && bytes[at + 2] === 0x54 && bytes[at + 3] === 0x50 && bytes[at + 4] === 0x2f
}

export function areDigits(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at]! < 0x30 || bytes[at]! > 0x39) return false
  return true
}

export function tooLarge(limits: HeadLimits): string {
  return `a head may have ${limits.maxHeaderBytes} bytes and ${limits.maxHeaderFields} fields`
}
