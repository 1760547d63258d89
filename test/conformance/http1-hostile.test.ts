// Requests that two readers could understand differently: refused at the door, and not one byte of them reaches a service.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as netConnect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { http1Request, rawExchange, readUntil, statusOf } from './clients.js'
import { type Origin, rawOrigin } from './origins.js'
import { endpoint, startTestProxy, type TestProxy } from './start-proxy.js'

const H = 'Host: h\r\n'
const POST = `POST /w/x HTTP/1.1\r\n${H}`
const GET = `GET /w/x HTTP/1.1\r\n${H}`

const REFUSED: [string, string, number[]][] = [
  ['Content-Length and Transfer-Encoding', `${POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, [400]],
  ['Transfer-Encoding and Content-Length', `${POST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n`, [400]],
  ['two different Content-Length', `${POST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`, [400]],
  ['two equal Content-Length', `${POST}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`, [400]],
  ['Content-Length: 5, 5', `${POST}Content-Length: 5, 5\r\n\r\nhello`, [400]],
  ['Content-Length: +5', `${POST}Content-Length: +5\r\n\r\nhello`, [400]],
  ['Content-Length: -1', `${POST}Content-Length: -1\r\n\r\n`, [400]],
  ['Content-Length: 5 5', `${POST}Content-Length: 5 5\r\n\r\nhello`, [400]],
  ['Content-Length: 0x5', `${POST}Content-Length: 0x5\r\n\r\nhello`, [400]],
  ['Content-Length beyond 64 bits', `${POST}Content-Length: 18446744073709551621\r\n\r\nhello`, [400]],
  ['an empty Content-Length', `${POST}Content-Length:\r\n\r\n`, [400]],
  ['Transfer-Encoding: xchunked', `${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, [400, 501]],
  ['Transfer-Encoding: chunked, identity', `${POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`, [400, 501]],
  ['Transfer-Encoding: identity', `${POST}Transfer-Encoding: identity\r\n\r\n`, [400, 501]],
  ['Transfer-Encoding: gzip, chunked', `${POST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, [501]],
  ['two Transfer-Encoding', `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, [400]],
  ['Transfer-Encoding behind a vertical tab', `${POST}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`, [400, 501]],
  ['a space before the colon', `${POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n`, [400]],
  ['a folded field', `${GET}X-A: b\r\n c\r\n\r\n`, [400]],
  ['a folded Transfer-Encoding', `${POST}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n`, [400]],
  ['a first field that begins with a space', `GET /w/x HTTP/1.1\r\n X-A: b\r\n${H}\r\n`, [400]],
  ['Transfer-Encoding in HTTP/1.0', `POST /w/x HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, [400]],
  ['bare LF line ends', 'GET /w/x HTTP/1.1\nHost: h\n\n', [400]],
  ['a bare CR in a value', `${GET}X-A: b\rc\r\n\r\n`, [400]],
  ['NUL in a value', `${GET}X-A: b\0c\r\n\r\n`, [400]],
  ['a control byte in a value', `${GET}X-A: b\x01c\r\n\r\n`, [400]],
  ['an empty field name', `${GET}: b\r\n\r\n`, [400]],
  ['a space in a field name', `${GET}X A: b\r\n\r\n`, [400]],
  ['a field without a colon', `${GET}nonsense\r\n\r\n`, [400]],
  ['no Host', 'GET /w/x HTTP/1.1\r\n\r\n', [400]],
  ['two Hosts', `${GET}Host: other\r\n\r\n`, [400]],
  ['a Host that is none', 'GET /w/x HTTP/1.1\r\nHost: a/b@c\r\n\r\n', [400]],
  ['HTTP/1.2', `GET /w/x HTTP/1.2\r\n${H}\r\n`, [400, 505]],
  ['HTTP/2.0 as text', `GET /w/x HTTP/2.0\r\n${H}\r\n`, [400, 505]],
  ['http in lower case', `GET /w/x http/1.1\r\n${H}\r\n`, [400]],
  ['a TAB in the request line', `GET\t/w/x HTTP/1.1\r\n${H}\r\n`, [400]],
  ['a lower-case method', `get /w/x HTTP/1.1\r\n${H}\r\n`, [400]],
  ['Connection that nominates Content-Length', `${POST}Content-Length: 2\r\nConnection: content-length\r\n\r\nok`, [400]],
  ['Connection that nominates Host', `${GET}Connection: host\r\n\r\n`, [400]],
  [
    'Upgrade with a body',
    `${POST}Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 30\r\n\r\nGET /w/y HTTP/1.1\r\nHost: h\r\n\r\n`,
    [400],
  ],
  ['Expect that nobody knows', `${GET}Expect: foo\r\n\r\n`, [417]],
  ['garbage', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', [0, 400]],
  ['an HTTP/2 preface gone wrong', 'PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n', [0, 400, 505]],
]

const BODY_REFUSED: [string, string][] = [
  ['a chunk size with LF only', '5\nhello\r\n0\r\n\r\n'],
  ['a chunk size 0x5', '0x5\r\nhello\r\n0\r\n\r\n'],
  ['a chunk size +5', '+5\r\nhello\r\n0\r\n\r\n'],
  ['a chunk size of 17 digits', '11111111111111111\r\nhello\r\n0\r\n\r\n'],
  ['a chunk not followed by CRLF', '5\r\nhelloXX0\r\n\r\n'],
  ['a chunk extension with LF', '5;a\nb\r\nhello\r\n0\r\n\r\n'],
]

describe('hostile HTTP/1.1', () => {
  let received = ''
  let connections = 0
  let origin: Origin
  let proxy: TestProxy
  before(async () => {
    origin = await rawOrigin(socket => {
      connections++
      let mine = ''
      socket.on('data', chunk => {
        received += chunk.toString('latin1')
        mine += chunk.toString('latin1')
        if (mine.endsWith('\r\n\r\n') || mine.endsWith('ok')) {
          mine = ''
          socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
        }
      })
    })
    proxy = await startTestProxy([{ prefix: '/w/', endpoints: [endpoint(origin.port)] }], { headerTimeoutMs: 400 })
  })
  after(async () => {
    await proxy.stop()
    await origin.close()
  })

  for (const [title, bytes, statuses] of REFUSED) {
    it(`${title} is ${statuses.join(' or ')}, closes, and reaches nobody`, async () => {
      received = ''
      const text = await rawExchange(proxy.port, bytes)
      assert.ok(statuses.includes(statusOf(text)), text)
      assert.equal(text.match(/HTTP\/1\.1 /g)?.length ?? 0, statusOf(text) === 0 ? 0 : 1)
      assert.equal(received, '')
    })
  }

  for (const [title, body] of BODY_REFUSED) {
    it(`${title} ends the request, and what follows is not taken for one`, async () => {
      received = ''
      const before = connections
      const text = await rawExchange(proxy.port, `${POST}Transfer-Encoding: chunked\r\n\r\n${body}GET /w/smuggled HTTP/1.1\r\n${H}\r\n`)
      assert.notEqual(statusOf(text), 200, text)
      assert.doesNotMatch(received, /smuggled/)
      // The connection that carried half a request is not used for another.
      assert.equal((await http1Request(proxy.port, { path: '/w/x' })).status, 200)
      assert.ok(connections <= before + 2)
    })
  }

  it('a valid chunk extension is accepted and goes no further', async () => {
    received = ''
    const text = await rawExchange(proxy.port, `${POST}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2;a=b\r\nok\r\n0\r\n\r\n`)
    assert.equal(statusOf(text), 200)
    assert.doesNotMatch(received, /a=b/)
  })

  it('hop-by-hop fields and those that Connection nominates stay here', async () => {
    received = ''
    const fields =
      'Connection: close, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nProxy-Authorization: x\r\nTE: gzip\r\nTrailer: x\r\nX-Stay: 1\r\n'
    assert.equal(statusOf(await rawExchange(proxy.port, `${GET}${fields}\r\n`)), 200)
    assert.match(received, /x-stay: 1/)
    assert.doesNotMatch(received, /secret|keep-alive: 5|proxy-auth|gzip|trailer/i)
  })

  it('Upgrade: h2c is not taken up and not passed on', async () => {
    received = ''
    const fields = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n'
    assert.equal(statusOf(await rawExchange(proxy.port, `${GET}${fields}\r\n`, text => text.endsWith('ok'))), 200)
    assert.doesNotMatch(received, /h2c|http2-settings|upgrade/i)
  })

  it('a head beyond maxHeaderBytes is 431, one below it passes', async () => {
    const filled = (bytes: number) => `${GET}Connection: close\r\nX-Fill: ${'a'.repeat(bytes)}\r\n\r\n`
    assert.equal(statusOf(await rawExchange(proxy.port, filled(60_000))), 200)
    assert.equal(statusOf(await rawExchange(proxy.port, filled(70_000))), 431)
  })

  it('200 fields pass, none is lost', async () => {
    received = ''
    const many = Array.from({ length: 200 }, (_, at) => `X-F${at}: ${at}\r\n`).join('')
    assert.equal(statusOf(await rawExchange(proxy.port, `${GET}Connection: close\r\n${many}\r\n`)), 200)
    assert.equal(received.match(/x-f[0-9]+: /g)?.length, 200)
  })

  for (const [title, first] of [
    ['says nothing', ''],
    ['sends half a head', 'GET /w/x HTTP/1.1\r\nHost'],
    ['sends half an HTTP/2 preface', 'PRI * HT'],
  ] as const) {
    it(`a client that ${title} is closed after the header timeout`, async () => {
      const begun = performance.now()
      const socket = netConnect(proxy.port, '127.0.0.1')
      await once(socket, 'connect')
      if (first !== '') socket.write(first)
      const text = await readUntil(socket, () => false)
      assert.ok([0, 408].includes(statusOf(text)), text)
      assert.ok(performance.now() - begun >= 390)
    })
  }

  it('a head that dribbles in is cut off at the header timeout while others are served', async () => {
    const socket = netConnect(proxy.port, '127.0.0.1')
    await once(socket, 'connect')
    const dribble = setInterval(() => socket.write('X'), 50)
    socket.write(GET)
    const cut = readUntil(socket, () => false)
    assert.equal((await http1Request(proxy.port, { path: '/w/x' })).status, 200)
    const text = await cut
    clearInterval(dribble)
    assert.ok([0, 408].includes(statusOf(text)), text)
  })

  it('connections beyond maxConnections are closed, those below served', async () => {
    const own = await startTestProxy([], { maxConnections: 3 })
    const sockets = Array.from({ length: 3 }, () => netConnect(own.port, '127.0.0.1'))
    await Promise.all(sockets.map(socket => once(socket, 'connect')))
    assert.equal(await rawExchange(own.port, `GET /health HTTP/1.1\r\n${H}Connection: close\r\n\r\n`), '')
    sockets[0]!.write(`GET /health HTTP/1.1\r\n${H}Connection: close\r\n\r\n`)
    assert.equal(statusOf(await readUntil(sockets[0]!, () => false)), 200)
    for (const socket of sockets) socket.destroy()
    await own.stop()
  })
})
