// Section F, rows 1 to 27: how HTTP/1.1 messages are framed.  `/w/` stands for the prefix of the service under test.
import type { Heard } from './recorder.js'

/** What a complete request must look like at the service; fields without the proxy's own, sorted. */
export type Expected = Pick<Heard, 'method' | 'target' | 'framing' | 'body'> & { fields?: string[]; trailers?: string[] }

export interface Refused {
  row: number
  title: string
  bytes: string
  /** Goes out when the head has arrived at the service, or 150 ms later. */
  second?: string
  /** Any of these; 0: closed without an answer. */
  statuses: number[]
  /** Requests that came whole before the refused one, and were answered 200. */
  before?: Expected[]
  /** `nothing`: not one byte of it.  `cut`: what had been sent on before it went wrong is begun and never complete. */
  origin: 'nothing' | 'cut'
  /** `open`: the connection may stay. */
  after: 'closes' | 'open'
}

export interface Passed {
  row: number
  title: string
  bytes: string
  answers: string[]
  heard: Expected[]
}

const H = 'Host: h\r\n'
const POST = `POST /w/x HTTP/1.1\r\n${H}`
const GET = `GET /w/x HTTP/1.1\r\n${H}`
const CHUNKED = `${POST}Transfer-Encoding: chunked\r\n\r\n`
const SMUGGLED = `GET /w/smuggled HTTP/1.1\r\n${H}\r\n`

const refused = (row: number, title: string, bytes: string, statuses = [400]): Refused => {
  return { row, title, bytes, statuses, origin: 'nothing', after: 'closes' }
}

/** The same damage in the first packet, and in one that comes when the head has gone on already. */
const badChunk = (row: number, title: string, chunk: string): Refused[] => [
  refused(row, `${title}, in one packet`, `${CHUNKED}${chunk}${SMUGGLED}`),
  { ...refused(row, `${title}, in a second packet`, CHUNKED), second: `${chunk}${SMUGGLED}`, origin: 'cut' },
]

export const REFUSED: Refused[] = [
  refused(
    1,
    'Content-Length, then Transfer-Encoding',
    `${POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  ),
  refused(
    1,
    'Transfer-Encoding, then Content-Length',
    `${POST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  ),
  refused(2, 'two different Content-Length', `${POST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`),
  refused(3, 'two equal Content-Length', `${POST}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`),
  refused(3, 'Content-Length: 5, 5', `${POST}Content-Length: 5, 5\r\n\r\nhello`),
  refused(4, 'Content-Length: +5', `${POST}Content-Length: +5\r\n\r\nhello`),
  refused(4, 'Content-Length: -1', `${POST}Content-Length: -1\r\n\r\n`),
  refused(4, 'Content-Length: 5 5', `${POST}Content-Length: 5 5\r\n\r\nhello`),
  refused(4, 'Content-Length: 0x5', `${POST}Content-Length: 0x5\r\n\r\nhello`),
  refused(4, 'Content-Length: 2^64 + 5', `${POST}Content-Length: 18446744073709551621\r\n\r\nhello`),
  refused(5, 'an empty Content-Length', `${POST}Content-Length:\r\n\r\n`),
  refused(6, 'Transfer-Encoding: xchunked', `${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`, [501]),
  refused(7, 'Transfer-Encoding: chunked, identity', `${POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`, [400, 501]),
  refused(7, 'Transfer-Encoding: identity', `${POST}Transfer-Encoding: identity\r\n\r\n`, [400, 501]),
  refused(8, 'Transfer-Encoding: gzip, chunked', `${POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, [501]),
  refused(9, 'Transfer-Encoding twice', `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
  refused(10, 'Transfer-Encoding behind a vertical tab', `${POST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`),
  refused(10, 'Transfer-Encoding behind a form feed', `${POST}Transfer-Encoding: \x0cchunked\r\n\r\n0\r\n\r\n`),
  refused(11, 'a space before the colon', `${POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`),
  refused(12, 'a folded Transfer-Encoding', `${POST}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`),
  refused(12, 'a folded field', `${GET}X-A: b\r\n c\r\n\r\n`),
  refused(13, 'a first field that begins with a space', `GET /w/x HTTP/1.1\r\n X-A: b\r\n${H}\r\n`),
  refused(14, 'Transfer-Encoding in HTTP/1.0', `POST /w/x HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
  refused(15, 'bare LF at every line end', 'GET /w/x HTTP/1.1\nHost: h\n\n'),
  refused(15, 'bare LF after the request line', `GET /w/x HTTP/1.1\n${H}\r\n`),
  refused(15, 'bare LF after a field', `${GET}X-A: b\nX-C: d\r\n\r\n`),
  refused(15, 'bare LF as the empty line', `${GET}\n`),
  refused(16, 'a bare CR in a value', `${GET}X-A: b\rc\r\n\r\n`),
  refused(17, 'NUL in a value', `${GET}X-A: b\0c\r\n\r\n`),
  refused(18, '0x01 in a value', `${GET}X-A: b\x01c\r\n\r\n`),
  refused(19, 'a space in a field name', `${GET}X A: b\r\n\r\n`),
  refused(19, 'NUL in a field name', `${GET}X\0A: b\r\n\r\n`),
  refused(19, 'an empty field name', `${GET}: b\r\n\r\n`),
  refused(19, 'a line without a colon', `${GET}nonsense\r\n\r\n`),
  ...badChunk(21, 'a chunk extension with LF', '5;a\nb\r\nhello\r\n0\r\n\r\n'),
  ...badChunk(22, 'a chunk size that ends with LF only', '5\nhello\r\n0\r\n\r\n'),
  ...badChunk(22, 'a chunk size with a space behind it', '5 \r\nhello\r\n0\r\n\r\n'),
  ...badChunk(22, 'a chunk size 0x5', '0x5\r\nhello\r\n0\r\n\r\n'),
  ...badChunk(22, 'a chunk size +5', '+5\r\nhello\r\n0\r\n\r\n'),
  ...badChunk(22, 'a chunk size of 17 digits', '00000000000000005\r\nhello\r\n0\r\n\r\n'),
  ...badChunk(23, 'chunk data not followed by CRLF', '5\r\nhelloXX0\r\n\r\n'),
  {
    ...refused(
      26,
      'bytes behind Content-Length that are no request',
      `${POST}Content-Length: 5\r\n\r\nhelloGET\t/w/smuggled HTTP/1.1\r\n${H}\r\n`,
    ),
    before: [{ method: 'POST', target: '/x', framing: 'length', body: 'hello', fields: ['host: h'] }],
  },
]

const withBody = (method: string): Passed[] => [
  {
    row: 25,
    title: `${method} with Content-Length keeps it`,
    bytes: `${method} /w/x HTTP/1.1\r\n${H}Content-Length: 5\r\n\r\nhello`,
    answers: ['/x'],
    heard: [{ method, target: '/x', framing: 'length', body: 'hello' }],
  },
  {
    row: 25,
    title: `${method} with chunks keeps them`,
    bytes: `${method} /w/x HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    answers: ['/x'],
    heard: [{ method, target: '/x', framing: 'chunked', body: 'hello' }],
  },
]

const badTrailer = (name: string, value: string): Passed => ({
  row: 24,
  title: `the trailer field ${name} is dropped, the others stay`,
  bytes: `${POST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n${name}: ${value}\r\nX-Sum: 9\r\n\r\n`,
  answers: ['/x'],
  heard: [{ method: 'POST', target: '/x', framing: 'chunked', body: 'hello', trailers: ['x-sum: 9'], fields: ['host: h'] }],
})

export const PASSED: Passed[] = [
  {
    row: 20,
    title: 'a chunk extension 5;a=b is accepted and stays here',
    bytes: `${CHUNKED}5;a=b\r\nhello\r\n0\r\n\r\n`,
    answers: ['/x'],
    heard: [{ method: 'POST', target: '/x', framing: 'chunked', body: 'hello', fields: ['host: h'] }],
  },
  badTrailer('Content-Length', '100'),
  badTrailer('Transfer-Encoding', 'chunked'),
  badTrailer('Host', 'other'),
  ...withBody('GET'),
  ...withBody('HEAD'),
  ...withBody('DELETE'),
  {
    row: 26,
    title: 'bytes behind Content-Length are the next request',
    bytes: `${POST}Content-Length: 5\r\n\r\nhelloGET /w/second HTTP/1.1\r\nHost: other\r\n\r\n`,
    answers: ['/x', '/second'],
    heard: [
      { method: 'POST', target: '/x', framing: 'length', body: 'hello', fields: ['host: h'] },
      { method: 'GET', target: '/second', framing: 'none', body: '', fields: ['host: other'] },
    ],
  },
  {
    row: 27,
    title: 'two pipelined requests are answered in order',
    bytes: `GET /w/first HTTP/1.1\r\n${H}X-A: 1\r\n\r\nGET /w/second HTTP/1.1\r\n${H}X-A: 2\r\n\r\n`,
    answers: ['/first', '/second'],
    heard: [
      { method: 'GET', target: '/first', framing: 'none', body: '', fields: ['host: h', 'x-a: 1'] },
      { method: 'GET', target: '/second', framing: 'none', body: '', fields: ['host: h', 'x-a: 2'] },
    ],
  },
  {
    row: 27,
    title: 'a pipelined request behind a chunked one is answered after it',
    bytes: `${CHUNKED}2\r\nhi\r\n0\r\n\r\nGET /w/second HTTP/1.1\r\n${H}\r\n`,
    answers: ['/x', '/second'],
    heard: [
      { method: 'POST', target: '/x', framing: 'chunked', body: 'hi' },
      { method: 'GET', target: '/second', framing: 'none', body: '' },
    ],
  },
]
