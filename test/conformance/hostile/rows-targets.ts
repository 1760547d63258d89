// Section F, rows 28 to 48: request lines, targets, hosts and the fields of one connection.  Routes: `/w/`, `/core-pipeline/` and `/framaist-milvus/`.
import type { Passed, Refused } from './rows-framing.js'

const H = 'Host: h\r\n'
const GET = `GET /w/x HTTP/1.1\r\n${H}`

const refused = (row: number, title: string, bytes: string, statuses = [400]): Refused => {
  return { row, title, bytes, statuses, origin: 'nothing', after: 'closes' }
}

/** A target that is refused by itself: the message around it is sound. */
const target = (row: number, path: string, statuses: number[]): Refused => {
  const title = `the target ${JSON.stringify(path)}`
  return { row, title, bytes: `GET ${path} HTTP/1.1\r\n${H}\r\n`, statuses, origin: 'nothing', after: 'open' }
}

/** With Host one field less than the limit that the suite sets, two hundred. */
const MANY = Array.from({ length: 199 }, (_, at) => `X-F${at}: ${at}\r\n`)

export const REFUSED: Refused[] = [
  refused(28, 'no Host', 'GET /w/x HTTP/1.1\r\n\r\n'),
  refused(28, 'two Hosts', `${GET}Host: other\r\n\r\n`),
  refused(28, 'two equal Hosts', `${GET}Host: h\r\n\r\n`),
  refused(28, 'the Host a/b@c', 'GET /w/x HTTP/1.1\r\nHost: a/b@c\r\n\r\n'),
  { ...refused(30, 'absolute-form with another authority than Host', `GET http://other/w/x HTTP/1.1\r\n${H}\r\n`), after: 'open' },
  { ...refused(31, 'CONNECT', `CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n`, [405]), after: 'open' },
  refused(32, 'HTTP/1.2', `GET /w/x HTTP/1.2\r\n${H}\r\n`, [505]),
  refused(32, 'HTTP/2.0 as text', `GET /w/x HTTP/2.0\r\n${H}\r\n`, [505]),
  refused(32, 'http/1.1 in lower case', `GET /w/x http/1.1\r\n${H}\r\n`),
  refused(32, 'HTTP/0.9', 'GET /w/x\r\n\r\n'),
  refused(33, 'two spaces before the target', `GET  /w/x HTTP/1.1\r\n${H}\r\n`),
  refused(33, 'two spaces before the version', `GET /w/x  HTTP/1.1\r\n${H}\r\n`),
  refused(33, 'a TAB in the request line', `GET\t/w/x HTTP/1.1\r\n${H}\r\n`),
  refused(33, 'a method in lower case', `get /w/x HTTP/1.1\r\n${H}\r\n`),
  target(34, '/core-pipeline/../framaist-milvus/a', [400, 404]),
  target(35, '/core-pipeline/%2e%2e/framaist-milvus/a', [400]),
  target(35, '/core-pipeline/..%2fframaist-milvus/a', [400]),
  target(35, '/core-pipeline/%2e%2e%2fframaist-milvus/a', [400]),
  target(36, '//core-pipeline//a', [404]),
  target(39, '/core%2dpipeline/a', [404]),
  target(40, '/core-pipelineX/a', [404]),
  target(40, '/core-pipeline', [404]),
  target(40, '/CORE-PIPELINE/a', [404]),
  target(41, '/w/a%00b', [400]),
  target(41, '/w/a%zz', [400]),
  refused(41, 'a raw NUL in the target', `GET /w/a\0b HTTP/1.1\r\n${H}\r\n`),
  { ...target(41, '/w/a\xc3\xa9', [400]), title: 'raw UTF-8 in the target' },
  target(41, '/w/a#frag', [400]),
  target(41, '/w/a\\b', [400]),
  refused(42, 'a 64 KiB field', `${GET}X-Fill: ${'a'.repeat(65_536)}\r\n\r\n`, [431]),
  refused(42, 'one field more than is allowed', `${GET}X-More: 1\r\n${MANY.join('')}\r\n`, [431]),
  refused(42, 'a 100 KiB path', `GET /w/${'a'.repeat(102_400)} HTTP/1.1\r\n${H}\r\n`, [414]),
  refused(
    46,
    'Upgrade: websocket with Content-Length and a body',
    `${GET}Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nContent-Length: 38\r\n\r\n` +
      `GET /w/smuggled HTTP/1.1\r\n${H}\r\n`,
  ),
  refused(
    46,
    'Upgrade: websocket with a chunked body',
    `${GET}Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
  ),
  { ...refused(48, 'Expect: foo', `${GET}Expect: foo\r\n\r\n`, [417]), after: 'open' },
]

const got = (path: string, fields: string[] = []) =>
  ({ method: 'GET', target: path, framing: 'none', body: '', fields: ['host: h', ...fields].toSorted() }) as const

export const PASSED: Passed[] = [
  {
    row: 29,
    title: 'absolute-form: its path is used, its authority is the Host',
    bytes: `GET http://h/w/p HTTP/1.1\r\n${H}\r\n`,
    answers: ['/p'],
    heard: [got('/p')],
  },
  {
    row: 35,
    title: '..;/ is a segment like any other',
    bytes: `GET /core-pipeline/..;/a HTTP/1.1\r\n${H}\r\n`,
    answers: ['/..;/a'],
    heard: [got('/..;/a')],
  },
  {
    row: 37,
    title: 'slashes behind the prefix are not merged',
    bytes: `GET /core-pipeline//a HTTP/1.1\r\n${H}\r\n`,
    answers: ['//a'],
    heard: [got('//a')],
  },
  {
    row: 38,
    title: '%2f stays %2f',
    bytes: `GET /core-pipeline/a%2fb HTTP/1.1\r\n${H}\r\n`,
    answers: ['/a%2fb'],
    heard: [got('/a%2fb')],
  },
  {
    row: 38,
    title: 'escapes of either case and the query stay byte for byte',
    bytes: `GET /core-pipeline/a%2Fb%20c;d=1?x=%2f&y=//..&z=a|b HTTP/1.1\r\n${H}\r\n`,
    answers: ['/a%2Fb%20c;d=1?x=%2f&y=//..&z=a|b'],
    heard: [got('/a%2Fb%20c;d=1?x=%2f&y=//..&z=a|b')],
  },
  {
    row: 42,
    title: 'as many fields as are allowed arrive, every one',
    bytes: `${GET}${MANY.join('')}\r\n`,
    answers: ['/x'],
    heard: [
      got(
        '/x',
        MANY.map(line => line.trim().toLowerCase()),
      ),
    ],
  },
  {
    row: 43,
    title: 'Connection and what it nominates stay here',
    bytes: `${GET}Connection: x-secret, keep-alive\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nX-Stay: 1\r\n\r\n`,
    answers: ['/x'],
    heard: [got('/x', ['x-stay: 1'])],
  },
  {
    row: 43,
    title: 'what Connection nominates stays here in whatever case',
    bytes: `${GET}Connection: x-secret, X-Other\r\nX-Secret: 1\r\nX-OTHER: 2\r\nX-Stay: 1\r\n\r\n`,
    answers: ['/x'],
    heard: [got('/x', ['x-stay: 1'])],
  },
  {
    row: 45,
    title: 'Upgrade: h2c is not taken up and not passed on',
    bytes: `${GET}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n`,
    answers: ['/x'],
    heard: [got('/x')],
  },
  {
    row: 47,
    title: 'Trailer on a GET stays here',
    bytes: `${GET}Trailer: x\r\n\r\n`,
    answers: ['/x'],
    heard: [got('/x')],
  },
]

interface Nominated {
  row: number
  title: string
  bytes: string
  body: string
  /** As the service gets it; null: its protocol has no such field. */
  kept: { http1: string; http2: string | null }
}

/** Row 44: refused with 400, or passed with the nominated field as it was. */
export const NOMINATED: Nominated[] = [
  {
    row: 44,
    title: 'Connection: content-length',
    bytes: `POST /w/x HTTP/1.1\r\n${H}Connection: content-length\r\nContent-Length: 5\r\n\r\nhello`,
    body: 'hello',
    kept: { http1: 'content-length: 5', http2: 'content-length: 5' },
  },
  {
    row: 44,
    title: 'Connection: host',
    bytes: `${GET}Connection: host\r\n\r\n`,
    body: '',
    kept: { http1: 'host: h', http2: ':authority: h' },
  },
  {
    row: 44,
    title: 'Connection: transfer-encoding',
    bytes: `POST /w/x HTTP/1.1\r\n${H}Connection: transfer-encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    body: 'hello',
    kept: { http1: 'transfer-encoding: chunked', http2: null },
  },
  {
    row: 44,
    title: 'Connection: te',
    bytes: `${GET}Connection: te\r\nTE: trailers\r\n\r\n`,
    body: '',
    kept: { http1: 'te: trailers', http2: 'te: trailers' },
  },
]
