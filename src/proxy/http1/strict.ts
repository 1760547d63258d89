// What node's parser lets pass and we do not: heads that two readers could frame or address differently.
import { type Fields, fieldValues, listWords } from '../../core/headers.js'

export interface Http1Head {
  httpVersion: string
  method: string
  /** Values of every Host field. */
  hosts: string[]
  fields: Fields
}

export interface Verdict {
  http: 400 | 417 | 501 | 505
  message: string
}

/** Checks a parsed head.  Returns null where it is sound, else why it is refused; a refused request never reaches a service.
 *  Source: RFC 9112 3.2, 6.1, 6.3; proxy.md section F rows 1-14, 28, 32, 44, 46. */
export function judgeHead(head: Http1Head): Verdict | null {
  if (head.httpVersion !== '1.1' && head.httpVersion !== '1.0') return { http: 505, message: `HTTP/${head.httpVersion} is not served here` }
  return judgeHost(head) ?? judgeFraming(head) ?? judgeConnection(head.fields) ?? judgeExpect(head.fields)
}

function judgeHost(head: Http1Head): Verdict | null {
  if (head.hosts.length > 1) return bad('more than one Host field')
  const host = head.hosts[0]
  if (host === undefined) return head.httpVersion === '1.1' ? bad('no Host field') : null
  return HOST.test(host) ? null : bad('the Host field is not a host and a port')
}

// Reg-name, IPv4 or bracketed IPv6, and a port (RFC 3986 3.2.2); userinfo has no place here.
const HOST = /^(?:[A-Za-z0-9._~!$&'()*+,;=%-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?$/

/** Also for HTTP/2's :authority. */
export function isHost(text: string): boolean {
  return HOST.test(text)
}

function judgeFraming(head: Http1Head): Verdict | null {
  const codings = fieldValues(head.fields, 'transfer-encoding')
  const lengths = fieldValues(head.fields, 'content-length')
  if (lengths.length > 1) return bad('more than one Content-Length field')
  if (lengths.length === 1 && !/^[0-9]{1,15}$/.test(lengths[0]!)) return bad('Content-Length is not a plain number')
  if (codings.length === 0) return null
  if (lengths.length > 0) return bad('both Content-Length and Transfer-Encoding')
  if (head.httpVersion === '1.0') return bad('Transfer-Encoding in HTTP/1.0')
  if (codings.length > 1) return bad('more than one Transfer-Encoding field')
  if (codings[0]!.toLowerCase() === 'chunked') return null
  return { http: 501, message: 'the only Transfer-Encoding served here is chunked' }
}

function judgeConnection(fields: Fields): Verdict | null {
  for (const value of fieldValues(fields, 'connection')) {
    for (const word of listWords(value)) if (FRAMING.has(word)) return bad(`Connection nominates ${word}`)
  }
  const framed = fieldValues(fields, 'content-length').some(value => value !== '0') || fieldValues(fields, 'transfer-encoding').length > 0
  return framed && fieldValues(fields, 'upgrade').length > 0 ? bad('Upgrade on a request with a body') : null
}

/** 100-continue is the only expectation there is (RFC 9110 10.1.1). */
function judgeExpect(fields: Fields): Verdict | null {
  const unknown = fieldValues(fields, 'expect').some(value => value.toLowerCase() !== '100-continue')
  return unknown ? { http: 417, message: 'the only Expect served here is 100-continue' } : null
}

const FRAMING = new Set(['content-length', 'transfer-encoding', 'host'])

function bad(message: string): Verdict {
  return { http: 400, message }
}
