// Field lines of a head or of trailers: strict, and what they say about framing and connection is noted on the way.
//
// One pass over the bytes, one string cut out of the head's text per value; costs are told in head-parser.ts.
// Strict (RFC 9112 5, proxy.md F 10-19): CRLF only, no folding, names are tokens followed by the colon, values hold no control byte but HTAB.

import { type Fields, listWords } from '../../core/headers.js'
import type { HeadLimits } from '../head-limits.js'
import { CONNECTION, CONTENT_LENGTH, EXPECT, findName, HOST, nameAt, numberAt, TOKEN, TRANSFER_ENCODING, UPGRADE } from './field-names.js'

const HTAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const COLON = 0x3a
const DELETE = 0x7f
/** What HPACK counts per field besides its name and value: one limit for both protocols. */
const FIELD_BYTES = 32

export class FieldLines {
  /** Without `host`; a new list per parse. */
  fields: Fields = []
  /** Names, values and 32 per field; the caller adds its first line. */
  size = 0
  hosts = 0
  host = ''
  /** Content-Length fields, and the value of the last: -1 where it is not a plain number. */
  lengths = 0
  length = 0
  /** Transfer-Encoding fields, and the value of the last in lower case. */
  codings = 0
  coding = ''
  /** What Connection says. */
  close = false
  keepAlive = false
  connectionUpgrade = false
  /** It names a field that frames or routes the message. */
  nominatesFraming = false
  /** `upgrade` lists websocket. */
  webSocket = false
  expectContinue = false
  expectOther = false
  /** Why the section is refused; '' where it is sound. */
  fault = ''
  /** The section is sound but beyond a limit. */
  isTooLarge = false

  /** bytes: the section, each line with its CRLF, in [start, end).  text: those bytes as latin1, and maybe more before: text[0] is bytes[origin]. */
  parse(bytes: Buffer, start: number, end: number, text: string, origin: number, limits: HeadLimits): boolean {
    this.reset()
    const { fields } = this
    const maxItems = limits.maxHeaderFields * 2
    let size = 0
    let items = 0
    let at = start
    while (at < end) {
      const nameStart = at
      let byte = bytes[at]!
      while (byte !== COLON && byte > SPACE) byte = bytes[++at]!
      const slot = at === nameStart ? -1 : findName(bytes, nameStart, at)
      if (byte !== COLON || (slot === -1 && !isToken(bytes, nameStart, at))) return this.refuse(nameFault(bytes, nameStart, at))
      const name = slot === -1 ? text.slice(nameStart - origin, at - origin).toLowerCase() : nameAt(slot)
      at++
      while (bytes[at] === SPACE || bytes[at] === HTAB) at++
      const valueStart = at
      at = valueEnd(bytes, at)
      if (bytes[at] !== CR || bytes[at + 1] !== LF || at + 1 >= end) return this.refuse(`a bare CR or LF, or a control byte, in ${name}`)
      let trimmed = at
      while (trimmed > valueStart && (bytes[trimmed - 1] === SPACE || bytes[trimmed - 1] === HTAB)) trimmed--
      at += 2
      size += name.length + trimmed - valueStart + FIELD_BYTES
      items += 2
      const value = text.slice(valueStart - origin, trimmed - origin)
      const number = slot === -1 ? 0 : numberAt(slot)
      if (number !== 0) this.note(number, value)
      if (number !== HOST) fields.push(name, value)
    }
    this.size = size
    this.isTooLarge = items > maxItems || size > limits.maxHeaderBytes
    return !this.isTooLarge
  }

  private refuse(fault: string): boolean {
    this.fault = fault
    return false
  }

  private reset(): void {
    this.fields = []
    this.size = 0
    this.hosts = 0
    this.host = ''
    this.lengths = 0
    this.length = 0
    this.codings = 0
    this.coding = ''
    this.close = false
    this.keepAlive = false
    this.connectionUpgrade = false
    this.nominatesFraming = false
    this.webSocket = false
    this.expectContinue = false
    this.expectOther = false
    this.fault = ''
    this.isTooLarge = false
  }

  private note(number: number, value: string): void {
    switch (number) {
      case HOST:
        this.hosts++
        this.host = value
        break
      case CONTENT_LENGTH:
        this.lengths++
        this.length = plainNumber(value)
        break
      case TRANSFER_ENCODING:
        this.codings++
        this.coding = value.toLowerCase()
        break
      case CONNECTION:
        this.noteConnection(value)
        break
      case UPGRADE:
        if (listWords(value).includes('websocket')) this.webSocket = true
        break
      case EXPECT:
        if (value.toLowerCase() === '100-continue') this.expectContinue = true
        else this.expectOther = true
        break
    }
  }

  private noteConnection(value: string): void {
    if (value === 'keep-alive') this.keepAlive = true
    else if (value === 'close') this.close = true
    else for (const word of listWords(value)) this.noteWord(word)
  }

  private noteWord(word: string): void {
    if (word === 'close') this.close = true
    else if (word === 'keep-alive') this.keepAlive = true
    else if (word === 'upgrade') this.connectionUpgrade = true
    else if (word === 'content-length' || word === 'transfer-encoding' || word === 'host') this.nominatesFraming = true
  }
}

/** Where a value ends that begins here: HTAB, space, visible ASCII and bytes beyond it may be in one.
 *  Comparisons, not a table: half the cost per byte. */
export function valueEnd(bytes: Buffer, at: number): number {
  let byte = bytes[at]!
  while ((byte >= SPACE && byte !== DELETE) || byte === HTAB) byte = bytes[++at]!
  return at
}

function isToken(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (TOKEN[bytes[at]!] === 0) return false
  return end > start
}

/** Digits only and at most 15 of them, so that every reader has the same number; else -1 (F 3-5). */
function plainNumber(value: string): number {
  const { length } = value
  if (length === 0 || length > 15) return -1
  let number = 0
  for (let at = 0; at < length; at++) {
    const digit = value.charCodeAt(at) - 0x30
    if (digit < 0 || digit > 9) return -1
    number = number * 10 + digit
  }
  return number
}

function nameFault(bytes: Buffer, start: number, at: number): string {
  if (at > start)
    return bytes[at] === SPACE || bytes[at] === HTAB
      ? 'a space in or behind a field name'
      : 'a field name that is no token, or has no colon'
  if (bytes[at] === COLON) return 'an empty field name'
  return bytes[at] === SPACE || bytes[at] === HTAB ? 'a field line that begins with a space (folding)' : 'a field name that is no token'
}
