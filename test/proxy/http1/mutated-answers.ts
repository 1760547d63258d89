// Answers that two clients could understand differently: mostly sound ones, one behind the other, with some bytes changed.
import { BREAKS, type Chance, changed, MARKS } from './reading.js'

const LINES = [
  'HTTP/1.1 200 OK',
  'HTTP/1.1 200 OK',
  'HTTP/1.1 404 Not Found',
  'HTTP/1.0 200 OK',
  'HTTP/1.1 500 ',
  'HTTP/1.1 200',
  'HTTP/1.1 299 \xe9',
]
const BODYLESS_LINES = ['HTTP/1.1 204 No Content', 'HTTP/1.1 304 Not Modified', 'HTTP/1.1 205 Reset Content', 'HTTP/1.1 199 Odd']
const INFORMATIONAL = [
  'HTTP/1.1 100 Continue\r\n\r\n',
  'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n',
  'HTTP/1.1 102 Processing\r\nX: y\r\n\r\n',
]
const ODD_LINES = [
  'HTTP/1.1 101 Switching Protocols',
  'HTTP/2.0 200 OK',
  'HTTP/1.2 200 OK',
  'HTTP/1.1 099 Low',
  'HTTP/1.1 999 High',
  'HTTP/1.1 20 Short',
  'HTTP/1.1 2000 Long',
  'HTTP/1.1  200 OK',
  'http/1.1 200 OK',
  'HTTP/1.1 200 O\tK',
  'ICY 200 OK',
]
const FIELDS = [
  'X-A: b',
  'Content-Type: text/plain',
  'Set-Cookie: a=b',
  'Set-Cookie: c=d',
  'X-Empty:',
  'X-Tab:\tb\t',
  'Vary: a, b',
  'Connection: keep-alive',
]
const ODD_FIELDS = [
  'Connection: close',
  'Connection: Close, x',
  'Connection: keep-alive, close',
  'Keep-Alive: timeout=5',
  'Content-Length: 5',
  'Content-Length: 0',
  'Content-Length: +5',
  'Content-Length: 5, 5',
  'Content-Length: 0x5',
  'Content-Length: 18446744073709551621',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: identity',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked, gzip',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding:\x0bchunked',
  'Connection: upgrade\r\nUpgrade: websocket',
  'Upgrade: h2c',
  'Trailer: X',
  'Proxy-Connection: close',
]
const CHUNKED = [
  '5\r\nhello\r\n0\r\n\r\n',
  '5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nX: y\r\n\r\n',
  '0\r\n\r\n',
  '00005\r\nhello\r\n00\r\nContent-Length: 3\r\n\r\n',
  'B\r\nHTTP/1.1 20\r\n0\r\n\r\n',
]
const BITS = [
  ...BREAKS,
  '\n\n',
  ...MARKS,
  'HTTP/1.1 200 OK\r\n',
  'HTTP/1.1 204 \r\n\r\n',
  'HTTP/1.0',
  'chunked',
  'Content-Length: 3\r\n',
  'Content-Length: 30\r\n',
  'Transfer-Encoding: chunked\r\n',
  'Connection: close\r\n',
  ' chunked',
  '\r\n folded',
  '0\r\n\r\n',
]

export const METHODS = ['GET', 'GET', 'HEAD', 'POST']

/** Up to three answers. */
export function mutatedAnswers(chance: Chance): Buffer {
  let text = ''
  for (let count = 1 + chance.below(3); count > 0; count--) text += answer(chance)
  return Buffer.from(changed(chance, text, BITS), 'latin1')
}

function answer(chance: Chance): string {
  let text = chance.below(6) === 0 ? chance.of(INFORMATIONAL) : ''
  const kind = chance.below(12)
  text += `${kind === 0 ? chance.of(ODD_LINES) : kind < 3 ? chance.of(BODYLESS_LINES) : chance.of(LINES)}\r\n`
  for (let fields = chance.below(4); fields > 0; fields--) text += `${chance.of(chance.below(8) === 0 ? ODD_FIELDS : FIELDS)}\r\n`
  const framing = chance.below(6)
  if (framing < 2) return `${text}Transfer-Encoding: chunked\r\n\r\n${chance.of(CHUNKED)}`
  if (framing < 5) return `${text}Content-Length: 11\r\n\r\n${chance.below(4) === 0 ? '' : 'hello world'}`
  return `${text}\r\n${chance.below(2) === 0 ? '' : 'up to the end'}`
}
