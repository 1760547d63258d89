// The grammar of heads: every framing row of proxy.md section F, in one piece and byte by byte.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isHost } from '../../../src/proxy/authority.js'
import { AnswerParser } from '../../../src/proxy/http1/answer-parser.js'
import { headEnd, RequestParser } from '../../../src/proxy/http1/head-parser.js'
import { PartialHead } from '../../../src/proxy/http1/partial-head.js'

const LIMITS = { maxHeaderBytes: 4096, maxHeaderFields: 20 }
const H = 'Host: h\r\n'
const GET = `GET /w HTTP/1.1\r\n${H}`
const POST = `POST /w HTTP/1.1\r\n${H}`

/** The verdict over a head that came in one piece: a status that refuses it, else what it says. */
function whole(text: string): number | RequestParser {
  const bytes = Buffer.from(`${text}stale bytes of an earlier read\r\n\r\n`, 'latin1')
  const end = headEnd(bytes, 0, text.length)
  if (end === -1) return piecemeal(text)
  const parser = new RequestParser(LIMITS)
  if (parser.parse(bytes, 0, end)) return parser
  assert.notEqual(parser.message, '')
  return parser.status
}

/** The same for one that came byte by byte. */
function piecemeal(text: string): number | RequestParser {
  const partial = new PartialHead(LIMITS.maxHeaderBytes, 'head')
  for (let at = 0; at < text.length && partial.state === 'more'; at++) {
    // A buffer that is read into again and again, as the wires' one is.
    const shared = Buffer.from([0xff, text.charCodeAt(at), 0x0d, 0x0a])
    assert.equal(partial.take(shared, 1, 2), 2)
    shared.fill(0)
  }
  if (partial.state === 'more') return 0
  if (partial.state === 'bad') return 400
  if (partial.state === 'large') return partial.hasLine ? 431 : 414
  const parser = new RequestParser(LIMITS)
  return parser.parse(partial.bytes, 0, partial.length) ? parser : parser.status
}

const REFUSED: [string, string, number][] = [
  ['F1 Content-Length and Transfer-Encoding', `${POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`, 400],
  ['F1 Transfer-Encoding and Content-Length', `${POST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n`, 400],
  ['F2 two different Content-Length', `${POST}Content-Length: 5\r\nContent-Length: 6\r\n\r\n`, 400],
  ['F3 two equal Content-Length', `${POST}Content-Length: 5\r\nContent-Length: 5\r\n\r\n`, 400],
  ['F3 Content-Length: 5, 5', `${POST}Content-Length: 5, 5\r\n\r\n`, 400],
  ...['+5', '-1', '5 5', '0x5', '18446744073709551621', '1000000000000000', '5\t5', '٥', '5;', '1e3'].map(
    (value): [string, string, number] => [`F4 Content-Length: ${value}`, `${POST}Content-Length: ${value}\r\n\r\n`, 400],
  ),
  ['F5 an empty Content-Length', `${POST}Content-Length:\r\n\r\n`, 400],
  ['F5 a Content-Length of spaces', `${POST}Content-Length:   \r\n\r\n`, 400],
  ['F6 Transfer-Encoding: xchunked', `${POST}Transfer-Encoding: xchunked\r\n\r\n`, 501],
  ['F7 Transfer-Encoding: chunked, identity', `${POST}Transfer-Encoding: chunked, identity\r\n\r\n`, 501],
  ['F7 Transfer-Encoding: identity', `${POST}Transfer-Encoding: identity\r\n\r\n`, 501],
  ['an empty Transfer-Encoding', `${POST}Transfer-Encoding:\r\n\r\n`, 501],
  ['Transfer-Encoding: chunked,', `${POST}Transfer-Encoding: chunked,\r\n\r\n`, 501],
  ['F8 Transfer-Encoding: gzip, chunked', `${POST}Transfer-Encoding: gzip, chunked\r\n\r\n`, 501],
  ['F9 two Transfer-Encoding', `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`, 400],
  ['F10 a vertical tab before the coding', `${POST}Transfer-Encoding: \x0bchunked\r\n\r\n`, 400],
  ['F10 a form feed before the coding', `${POST}Transfer-Encoding: \x0cchunked\r\n\r\n`, 400],
  ['F11 a space before the colon', `${POST}Transfer-Encoding : chunked\r\n\r\n`, 400],
  ['F11 a tab before the colon', `${POST}Transfer-Encoding\t: chunked\r\n\r\n`, 400],
  ['F12 a folded Transfer-Encoding', `${POST}Transfer-Encoding:\r\n chunked\r\n\r\n`, 400],
  ['F12 a folded field', `${GET}X-A: b\r\n c\r\n\r\n`, 400],
  ['F12 a field folded with a tab', `${GET}X-A: b\r\n\tc\r\n\r\n`, 400],
  ['F13 a first field that begins with a space', `GET /w HTTP/1.1\r\n X-A: b\r\n${H}\r\n`, 400],
  ['F14 Transfer-Encoding in HTTP/1.0', `POST /w HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n`, 400],
  ['F15 bare LF line ends', 'GET /w HTTP/1.1\nHost: h\n\n', 400],
  ['F15 one bare LF', 'GET /w HTTP/1.1\r\nHost: h\nX: y\r\n\r\n', 400],
  ['F15 a bare LF behind the request line', 'GET /w HTTP/1.1\nHost: h\r\n\r\n', 400],
  ['F15 CRLF LF at the end', 'GET /w HTTP/1.1\r\nHost: h\r\n\n', 400],
  ['F16 a bare CR in a value', `${GET}X-A: b\rc\r\n\r\n`, 400],
  ['F16 a bare CR before CRLF', `${GET}X-A: b\r\r\n\r\n`, 400],
  ['F17 NUL in a value', `${GET}X-A: b\0c\r\n\r\n`, 400],
  ['F18 0x01 in a value', `${GET}X-A: b\x01c\r\n\r\n`, 400],
  ['F18 DEL in a value', `${GET}X-A: b\x7fc\r\n\r\n`, 400],
  ['F19 a space in a name', `${GET}X A: b\r\n\r\n`, 400],
  ['F19 NUL in a name', `${GET}X\0A: b\r\n\r\n`, 400],
  ['F19 a byte beyond ASCII in a name', `${GET}X\xe4A: b\r\n\r\n`, 400],
  ['F19 an empty name', `${GET}: b\r\n\r\n`, 400],
  ['F19 a line without a colon', `${GET}nonsense\r\n\r\n`, 400],
  ['F28 no Host', 'GET /w HTTP/1.1\r\n\r\n', 400],
  ['F28 two Hosts', `${GET}Host: h\r\n\r\n`, 400],
  ['F28 a Host that is none', 'GET /w HTTP/1.1\r\nHost: a/b@c\r\n\r\n', 400],
  ['F28 an empty Host', 'GET /w HTTP/1.1\r\nHost:\r\n\r\n', 400],
  ['F28 two Hosts in HTTP/1.0', `GET /w HTTP/1.0\r\n${H}${H}\r\n`, 400],
  ['F32 HTTP/1.2', `GET /w HTTP/1.2\r\n${H}\r\n`, 505],
  ['F32 HTTP/2.0', `GET /w HTTP/2.0\r\n${H}\r\n`, 505],
  ['F32 http/1.1', `GET /w http/1.1\r\n${H}\r\n`, 400],
  ['F32 HTTP/0.9', `GET /w HTTP/0.9\r\n${H}\r\n`, 400],
  ['F32 no version', `GET /w\r\n${H}\r\n`, 400],
  ['F32 HTTP/1.10', `GET /w HTTP/1.10\r\n${H}\r\n`, 400],
  ['F32 HTTP/11', `GET /w HTTP/11\r\n${H}\r\n`, 400],
  ['F33 two spaces behind the method', `GET  /w HTTP/1.1\r\n${H}\r\n`, 400],
  ['F33 two spaces behind the target', `GET /w  HTTP/1.1\r\n${H}\r\n`, 400],
  ['F33 a space behind the version', `GET /w HTTP/1.1 \r\n${H}\r\n`, 400],
  ['F33 a TAB behind the method', `GET\t/w HTTP/1.1\r\n${H}\r\n`, 400],
  ['F33 a TAB behind the target', `GET /w\tHTTP/1.1\r\n${H}\r\n`, 400],
  ['F33 a lower-case method', `get /w HTTP/1.1\r\n${H}\r\n`, 400],
  ['F33 a method half in lower case', `GeT /w HTTP/1.1\r\n${H}\r\n`, 400],
  ['a method of 33 bytes', `${'A'.repeat(33)} /w HTTP/1.1\r\n${H}\r\n`, 400],
  ['a space before the method', ` GET /w HTTP/1.1\r\n${H}\r\n`, 400],
  ['no target', `GET HTTP/1.1\r\n${H}\r\n`, 400],
  ['F41 NUL in the target', `GET /w\0 HTTP/1.1\r\n${H}\r\n`, 400],
  ['F41 DEL in the target', `GET /w\x7f HTTP/1.1\r\n${H}\r\n`, 400],
  ['F42 a head beyond maxHeaderBytes', `${GET}X-A: ${'a'.repeat(4096)}\r\n\r\n`, 431],
  ['F42 a target beyond maxHeaderBytes', `GET /${'a'.repeat(4097)} HTTP/1.1\r\n${H}\r\n`, 414],
  ['F42 fields beyond maxHeaderFields', `${GET}${'X: y\r\n'.repeat(20)}X: y\r\n\r\n`, 431],
  ['F42 a head beyond it with HPACK’s 32 bytes per field', `${GET}${`X: ${'y'.repeat(200)}\r\n`.repeat(18)}\r\n`, 431],
  ['F44 Connection: content-length', `${POST}Content-Length: 2\r\nConnection: close, Content-Length\r\n\r\n`, 400],
  ['F44 Connection: transfer-encoding', `${GET}Connection: transfer-encoding\r\n\r\n`, 400],
  ['F44 Connection: host', `${GET}Connection: host\r\n\r\n`, 400],
  ['F46 WebSocket with a length', `${POST}Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 30\r\n\r\n`, 400],
  ['F46 WebSocket with chunks', `${GET}Connection: upgrade\r\nUpgrade: h2c, WebSocket\r\nTransfer-Encoding: chunked\r\n\r\n`, 400],
  ['F48 Expect: foo', `${GET}Expect: foo\r\n\r\n`, 417],
  ['F48 Expect twice, once unknown', `${GET}Expect: 100-continue\r\nExpect: foo\r\n\r\n`, 417],
  ['F72 the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\n', 400],
  ['F72 a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
  ['a CR that is not followed by LF before the head', `\rX${GET}\r\n`, 400],
  ['two empty lines', '\r\n\r\n', 400],
]

describe('a request’s head that is refused', () => {
  for (const [title, text, status] of REFUSED) {
    it(`${title}: ${status}`, () => {
      assert.equal(whole(text), status)
      assert.equal(piecemeal(text), status)
    })
  }
})

type Facts = Partial<Pick<RequestParser, 'method' | 'target' | 'minor' | 'contentLength' | 'upgrade'>>

const ACCEPTED: [string, string, Facts, string[]][] = [
  ['a plain one', `${GET}\r\n`, { method: 'GET', target: '/w', minor: 1, contentLength: 0, upgrade: null }, []],
  ['names in any case come lower', `${GET}X-A: b\r\nACCEPT: c\r\n\r\n`, {}, ['x-a', 'b', 'accept', 'c']],
  ['doubled fields stay doubled, in order', `${GET}X: 1\r\nY: 2\r\nX: 3\r\n\r\n`, {}, ['x', '1', 'y', '2', 'x', '3']],
  ['space and tab around a value go, within they stay', `${GET}X: \t a \t b\t \r\n\r\n`, {}, ['x', 'a \t b']],
  ['a value may be empty', `${GET}X:\r\nY: \r\n\r\n`, {}, ['x', '', 'y', '']],
  ['bytes beyond ASCII stay as they are', `${GET}X: \xff\xe4\r\n\r\n`, {}, ['x', '\xff\xe4']],
  ['every token char may be in a name', `${GET}!#$%&'*+-.^_\`|~09az: b\r\n\r\n`, {}, ["!#$%&'*+-.^_`|~09az", 'b']],
  [
    'names that only look common',
    `${GET}Hosts: 1\r\nhos: 2\r\nconten-length: 3\r\n\r\n`,
    {},
    ['hosts', '1', 'hos', '2', 'conten-length', '3'],
  ],
  ['HTTP/1.0 without Host', 'GET /w HTTP/1.0\r\n\r\n', { minor: 0 }, []],
  ['one empty line before it', `\r\n${GET}\r\n`, { method: 'GET', target: '/w' }, []],
  ['an absolute target', `GET http://h/w?x HTTP/1.1\r\n${H}\r\n`, { target: 'http://h/w?x' }, []],
  ['F41 what is a target is not decided here', `GET /%zz#\xe4\\ HTTP/1.1\r\n${H}\r\n`, { target: '/%zz#\xe4\\' }, []],
  ['OPTIONS *', `OPTIONS * HTTP/1.1\r\n${H}\r\n`, { method: 'OPTIONS', target: '*' }, []],
  ['CONNECT', `CONNECT h:1 HTTP/1.1\r\n${H}\r\n`, { method: 'CONNECT', target: 'h:1' }, []],
  ['a method with a hyphen', `M-SEARCH /w HTTP/1.1\r\n${H}\r\n`, { method: 'M-SEARCH' }, []],
  ['F25 GET with a length', `${GET}Content-Length: 5\r\n\r\n`, { contentLength: 5 }, ['content-length', '5']],
  [
    'a length of 15 digits',
    `${POST}Content-Length: 100000000000000\r\n\r\n`,
    { contentLength: 1e14 },
    ['content-length', '100000000000000'],
  ],
  ['a length with zeros before it', `${POST}Content-Length: 005\r\n\r\n`, { contentLength: 5 }, ['content-length', '005']],
  ['Content-Length: 0', `${POST}Content-Length: 0\r\n\r\n`, { contentLength: 0 }, ['content-length', '0']],
  ['Chunked in any case', `${POST}Transfer-Encoding: Chunked\r\n\r\n`, { contentLength: -1 }, ['transfer-encoding', 'Chunked']],
  [
    'F45 Upgrade: h2c is nothing, with a body too',
    `${POST}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n`,
    { upgrade: null, contentLength: 2 },
    ['connection', 'Upgrade, HTTP2-Settings', 'upgrade', 'h2c', 'content-length', '2'],
  ],
  [
    'WebSocket',
    `${GET}Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n`,
    { upgrade: 'websocket' },
    ['connection', 'keep-alive, Upgrade', 'upgrade', 'WebSocket'],
  ],
  [
    'WebSocket with Content-Length: 0',
    `${GET}Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n`,
    { upgrade: 'websocket' },
    ['connection', 'upgrade', 'upgrade', 'websocket', 'content-length', '0'],
  ],
  ['WebSocket that Connection does not name', `${GET}Upgrade: websocket\r\n\r\n`, { upgrade: null }, ['upgrade', 'websocket']],
  [
    'Expect: 100-Continue',
    `${POST}Expect: 100-Continue\r\nContent-Length: 1\r\n\r\n`,
    {},
    ['expect', '100-Continue', 'content-length', '1'],
  ],
  ['Connection: te', `${GET}Connection: close, te\r\n\r\n`, {}, ['connection', 'close, te']],
  ['maxHeaderFields', `${GET}${'X: y\r\n'.repeat(19)}\r\n`, {}, Array.from({ length: 19 }, () => ['x', 'y']).flat()],
]

describe('a request’s head that is taken', () => {
  for (const [title, text, facts, fields] of ACCEPTED) {
    it(title, () => {
      for (const read of [whole(text), piecemeal(text)]) {
        if (typeof read === 'number') assert.fail(`refused with ${read}`)
        for (const [name, value] of Object.entries(facts)) assert.equal(read[name as keyof Facts], value, name)
        assert.deepEqual(read.lines.fields, fields)
        if (text.includes(H)) assert.equal(read.lines.host, 'h')
      }
    })
  }

  it('a head ends where its blank line is, whatever is behind it', () => {
    const bytes = Buffer.from(`${GET}\r\nGET /next`, 'latin1')
    assert.equal(headEnd(bytes, 0, bytes.length), GET.length + 2)
    assert.equal(headEnd(bytes, 0, GET.length + 1), -1)
  })

  it('what one parse has found does not colour the next', () => {
    const parser = new RequestParser(LIMITS)
    const read = (text: string) => parser.parse(Buffer.from(text, 'latin1'), 0, text.length)
    assert.ok(read(`${GET}Connection: close, upgrade\r\nUpgrade: websocket\r\n\r\n`))
    const { fields } = parser.lines
    assert.ok(!read(`${POST}Content-Length: x\r\nExpect: y\r\n\r\n`))
    assert.ok(read(`${GET}\r\n`))
    assert.deepEqual([parser.upgrade, parser.lines.close, parser.contentLength, parser.status], [null, false, 0, 0])
    assert.deepEqual(fields, ['connection', 'close, upgrade', 'upgrade', 'websocket'])
  })
})

const OK = 'HTTP/1.1 200 OK\r\n'

describe('an answer’s head', () => {
  const parse = (text: string) => {
    const parser = new AnswerParser(LIMITS)
    return parser.parse(Buffer.from(`${text}stale\r\n`, 'latin1'), 0, text.length) ? parser : parser.fault
  }
  for (const [title, text] of [
    ['F73 length and chunks', `${OK}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`],
    ['F73 two lengths', `${OK}Content-Length: 5\r\nContent-Length: 5\r\n\r\n`],
    ['a length that is none', `${OK}Content-Length: 5, 5\r\n\r\n`],
    ['F73 a bare CR', `${OK}X: a\rb\r\n\r\n`],
    ['a bare CR in the reason', 'HTTP/1.1 200 O\rK\r\n\r\n'],
    ['a control byte in the reason', 'HTTP/1.1 200 O\x01K\r\n\r\n'],
    ['a folded field', `${OK}X: a\r\n b\r\n\r\n`],
    ['a space before the colon', `${OK}X : a\r\n\r\n`],
    ['gzip, chunked', `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n`],
    ['chunked twice', `${OK}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`],
    ['chunks in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['HTTP/2', 'HTTP/2.0 200 OK\r\n\r\n'],
    ['no HTTP', 'SSH-2.0-OpenSSH_9\r\n\r\n'],
    ['two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
    ['four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
    ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
    ['letters for a status', 'HTTP/1.1 2x0 OK\r\n\r\n'],
    ['too many fields', `${OK}${'X: y\r\n'.repeat(21)}\r\n`],
    ['too many bytes', `${OK}X: ${'y'.repeat(4050)}\r\n\r\n`],
    ['nothing', '\r\n\r\n'],
  ] as const) {
    it(`${title} is refused`, () => assert.equal(typeof parse(text), 'string'))
  }
  for (const [text, status, fields] of [
    [`${OK}X-A: b\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n`, 200, ['x-a', 'b', 'set-cookie', 'a', 'set-cookie', 'b']],
    ['HTTP/1.1 404\r\n\r\n', 404, []],
    ['HTTP/1.1 404 \r\n\r\n', 404, []],
    ['HTTP/1.0 299 Sch\xf6n\r\nContent-Length: 0\r\n\r\n', 299, ['content-length', '0']],
    ['HTTP/1.1 999 Who\r\n\r\n', 999, []],
  ] as const) {
    it(`${JSON.stringify(text)} is ${status}`, () => {
      const read = parse(text)
      if (typeof read === 'string') assert.fail(read)
      assert.deepEqual([read.status, read.lines.fields], [status, fields])
    })
  }
})

describe('isHost', () => {
  for (const text of ['h', 'a.b-c_d', '1.2.3.4:80', '[::1]', '[::1]:6006', 'h:', 'xn--e.example'])
    it(`${text} is one`, () => assert.ok(isHost(text)))
  for (const text of ['', 'a/b', 'a@b', 'a b', 'a?b', 'a#b', 'a\\b', '::1', '[::1', 'h:123456', 'h:x', 'h:1:2', 'ä']) {
    it(`${text || 'nothing'} is none`, () => assert.ok(!isHost(text)))
  }
})
