// A stream of request bytes as our parsers understand it, and the generator of streams that two readers could understand differently.
import assert from 'node:assert/strict'
import { BodyDecoder, IN_CHUNKS } from '../../../src/proxy/http1/body-decoder.js'
import { RequestParser } from '../../../src/proxy/http1/head-parser.js'

export interface ReadRequest {
  method: string
  target: string
  /** The head asks to go on as something else, or the connection to be ended: a reader may stop behind this request. */
  isLast: boolean
  fields: string[]
  body: string
  isComplete: boolean
  /** Bytes of the stream up to its end. */
  end: number
}

export interface Reading {
  requests: ReadRequest[]
  /** Why the stream is refused; '' where it is not. */
  fault: string
}

const LIMITS = { maxHeaderBytes: 2048, maxHeaderFields: 30 }

/** Reads requests one behind the other, in pieces of so many bytes. */
export class Reader {
  private readonly parser = new RequestParser(LIMITS)
  private readonly decoder = new BodyDecoder(LIMITS)

  read(bytes: Buffer, pieceBytes: number): Reading {
    const reading: Reading = { requests: [], fault: '' }
    let current: ReadRequest | null = null
    this.parser.clear()
    for (let from = 0; from < bytes.length; from += pieceBytes) {
      const end = Math.min(bytes.length, from + pieceBytes)
      let steps = 0
      for (let at = from; at < end; ) {
        // Every call but one that finds a fault reads on: more calls than bytes would be a loop.
        assert.ok(steps++ <= (end - from) * 2 + 2, 'the parser does not read on')
        if (current === null) {
          const outcome = this.parser.read(bytes, at, end)
          at = this.parser.at
          if (outcome === 'refused') return { ...reading, fault: this.parser.message || 'refused without a reason' }
          if (outcome === 'sound') current = this.begin(reading)
        } else {
          const outcome = this.decoder.step(bytes, at, end)
          at = this.decoder.at
          if (outcome === 'data') current.body += bytes.toString('latin1', this.decoder.dataStart, this.decoder.dataEnd)
          if (outcome === 'bad') return { ...reading, fault: this.decoder.fault }
          current.isComplete = this.decoder.isOver
        }
        if (current?.isComplete) {
          current.end = at
          current = null
        }
      }
    }
    return reading
  }

  private begin(reading: Reading): ReadRequest {
    const { parser } = this
    const { method, target, contentLength, isLast, lines } = parser
    const request = { method, target, isLast, fields: lines.fields, body: '', isComplete: contentLength === 0, end: 0 }
    if (contentLength !== 0) this.decoder.begin(contentLength > 0 ? contentLength : IN_CHUNKS)
    reading.requests.push(request)
    return request
  }
}

/** Reproducible chance: xorshift32. */
export class Chance {
  private state: number

  constructor(seed: number) {
    this.state = seed | 1
  }

  below(count: number): number {
    this.state ^= this.state << 13
    this.state ^= this.state >>> 17
    this.state ^= this.state << 5
    return (this.state >>> 0) % count
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }
}

const LINES = [
  'GET / HTTP/1.1',
  'POST /a?b HTTP/1.1',
  'PUT /c HTTP/1.0',
  'HEAD http://h/ HTTP/1.1',
  'DELETE /d HTTP/1.1',
  'OPTIONS * HTTP/1.1',
]
const FIELDS = [
  'X-A: b',
  'Connection: keep-alive',
  'TE: trailers',
  'Trailer: x',
  'Accept-Encoding:\tgzip ',
  'X-A: b',
  'Cookie: a=b',
  'X-Empty:',
]
const ODD_FIELDS = [
  'Host: h:80',
  'Connection: close',
  'Content-Length: 5',
  'Content-Length: 0',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: gzip, chunked',
  'Expect: 100-continue',
  'Connection: upgrade\r\nUpgrade: h2c',
]
const CHUNKED = ['5\r\nhello\r\n0\r\n\r\n', '5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nX: y\r\n\r\n', '0\r\n\r\n', '1\r\nG\r\n0\r\n\r\n']
/** What sets the parts of a head apart, and single bytes that mean something to one reader or another. */
export const BREAKS = ['\r', '\n', '\r\n', '\r\n\r\n']
export const MARKS = [' ', '\t', '\0', '\x0b', '\x7f', '\x80', '\xff', ':', ';', ',', '=', '"', '0', '5', 'a', 'F', 'x', '+', '-', '_']
const BITS = [
  ...BREAKS,
  ...MARKS,
  'GET ',
  'HTTP/1.1',
  'HTTP/1.2',
  'chunked',
  'Content-Length: 3\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Transfer-Encoding:\x0bchunked\r\n',
  ' chunked',
  '\r\n folded',
]

/** One to three requests, mostly sound, with some bytes changed, put in, doubled or taken out. */
export function mutatedStream(chance: Chance): Buffer {
  let text = ''
  for (let count = 1 + chance.below(3); count > 0; count--) {
    text += `${chance.of(LINES)}\r\n${chance.below(10) === 0 ? '' : 'Host: h\r\n'}`
    for (let fields = chance.below(4); fields > 0; fields--) text += `${chance.of(chance.below(12) === 0 ? ODD_FIELDS : FIELDS)}\r\n`
    const framing = chance.below(5)
    if (framing === 0) text += `Transfer-Encoding: chunked\r\n\r\n${chance.of(CHUNKED)}`
    else if (framing === 1) text += 'Content-Length: 11\r\n\r\nhello world'
    else text += '\r\n'
  }
  return Buffer.from(changed(chance, text, BITS), 'latin1')
}

/** Up to two places of a text changed, put in, doubled or taken out. */
export function changed(chance: Chance, sound: string, bits: readonly string[]): string {
  let text = sound
  for (let count = chance.below(3); count > 0; count--) {
    const at = chance.below(text.length + 1)
    const length = chance.below(4)
    const bit = chance.below(4) === 0 ? String.fromCharCode(chance.below(256)) : chance.of(bits)
    if (chance.below(5) === 0) text = text.slice(0, at) + text.slice(at, at + 20) + text.slice(at)
    else text = text.slice(0, at) + (chance.below(4) === 0 ? '' : bit) + text.slice(at + length)
  }
  return text
}
