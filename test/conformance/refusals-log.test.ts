// What is refused has its line in the access log, with the status that was sent and the word for why, also where no request ever came of it.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { rawExchange } from './clients.js'
import { grpcRequest, isOver } from './grpc/calls.js'
import type { Field } from './grpc/hpack-reader.js'
import { type Rig, startRig } from './grpc/rig.js'
import { openWire, RST, type Wire } from './grpc/wire.js'
import { frame, headerBlock, TYPE } from './h2-frames.js'
import { logLines } from './log-lines.js'
import { type Origin, rawOrigin } from './origins.js'
import { endLater, endpoint, until } from './start-proxy.js'

const LIMIT_MS = 500
const MAX_STREAMS = 5
const MAX_HEADER_BYTES = 4096

type Line = Record<string, unknown>

const LINE: Line = { method: 'GET', target: '/w/a' }

describe('refusals in the access log', () => {
  const directory = mkdtempSync(join(tmpdir(), 'guard-log-'))
  const path = join(directory, 'access.log')
  let rig: Rig
  let mute: Origin
  before(async () => {
    mute = await rawOrigin(() => {})
    rig = await startRig({
      route: { timeoutMs: 5000 },
      routes: () => [{ prefix: '/w/', timeoutMs: 5000, endpoints: [endpoint(mute.port)] }],
      settings: {
        accessLog: { path, format: 'json', maxBytes: 0, backups: 0 },
        bodyTimeoutMs: LIMIT_MS,
        headerTimeoutMs: LIMIT_MS,
        sendTimeoutMs: LIMIT_MS,
        maxHeaderBytes: MAX_HEADER_BYTES,
        maxStreams: MAX_STREAMS,
      },
    })
  })
  after(async () => {
    await rig.close()
    await mute.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const lines = () => logLines(path).map(line => JSON.parse(line) as Line)

  /** The lines that `act` leaves, once there are so many; a moment later there are no more. */
  async function linesOf(act: () => unknown, count = 1): Promise<Line[]> {
    const known = lines().length
    await act()
    await until(() => lines().length >= known + count)
    await new Promise(resolve => setTimeout(resolve, 80))
    const found = lines().slice(known)
    assert.equal(found.length, count, JSON.stringify(found))
    return found
  }

  /** Sends these bytes and waits for the connection's end. */
  async function sent(bytes: string): Promise<string> {
    const socket = connect(rig.proxy.port, '127.0.0.1')
    endLater(() => socket.destroy())
    let text = ''
    let isClosed = false
    socket.on('error', () => {})
    socket.on('data', chunk => {
      text += chunk.toString('latin1')
    })
    socket.on('close', () => {
      isClosed = true
    })
    socket.write(bytes, 'latin1')
    await until(() => isClosed)
    return text
  }

  const HOST = 'Host: h\r\nUser-Agent: ua\r\nX-Request-Id: id\r\n'
  for (const [title, bytes, status, end, wanted] of [
    ['Content-Length is no number', `POST /w/a HTTP/1.1\r\n${HOST}Content-Length: x\r\n\r\n`, 400, 'REQUEST_MALFORMED', whole()],
    ['no Host', 'GET /w/a HTTP/1.1\r\nUser-Agent: ua\r\n\r\n', 400, 'REQUEST_MALFORMED', { ...whole('GET'), authority: '', id: undefined }],
    ['an unknown expectation', `GET /w/a HTTP/1.1\r\n${HOST}Expect: foo\r\n\r\n`, 417, 'EXPECTATION_UNKNOWN', whole('GET')],
    ['a coding that is not served', `POST /w/a HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip\r\n\r\n`, 501, 'REQUEST_MALFORMED', whole()],
    [
      'another version',
      'GET /w/a HTTP/1.2\r\nHost: h\r\n\r\n',
      505,
      'REQUEST_MALFORMED',
      { method: 'GET', target: '/w/a', user_agent: '-' },
    ],
    [
      'a method in small letters',
      'get /w/a HTTP/1.1\r\nHost: h\r\n\r\n',
      400,
      'REQUEST_MALFORMED',
      { method: '', target: '', authority: '' },
    ],
    ['a head that is too large', `GET /w/a HTTP/1.1\r\n${HOST}X: ${'x'.repeat(9000)}\r\n\r\n`, 431, 'REQUEST_HEAD_TOO_LARGE', LINE],
    ['a line that is too long', `GET /${'a'.repeat(9000)} HTTP/1.1\r\n\r\n`, 414, 'REQUEST_HEAD_TOO_LARGE', { method: '', target: '' }],
    ['a head that stops', 'GET /w/a HTTP/1.1\r\nHost', 408, 'REQUEST_TOO_SLOW', LINE],
    ['a line that stops', 'GET /w/', 408, 'REQUEST_TOO_SLOW', { method: '', target: '' }],
    ['a malformed chunk', `POST /w/a HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX`, 400, 'REQUEST_MALFORMED', whole()],
    ['a body that stops', `POST /w/a HTTP/1.1\r\n${HOST}Content-Length: 9\r\n\r\nhello`, 408, 'REQUEST_TOO_SLOW', whole()],
  ] as [string, string, number, string, Line][]) {
    it(`HTTP/1.1, ${title}: ${status} ${end}`, async () => {
      let text = ''
      const [line] = await linesOf(async () => {
        text = await sent(bytes)
      })
      const body = text.slice(text.indexOf('\r\n\r\n') + 4)
      assert.equal(Number(text.slice(9, 12)), status)
      const seen: Line = { client: '127.0.0.1', protocol: 'HTTP/1.1', status, end, bytes_out: body.length, cancelled: undefined, ...wanted }
      if ('id' in wanted && wanted.id === undefined) seen.id = line!.id
      assert.deepEqual(pick(line!, seen), seen)
      assert.match(String(line!.id), /^(id|[0-9a-f-]{36})$/)
      assert.equal(JSON.parse(body).error.code, end)
    })
  }

  it('HTTP/1.1: what the line before it said is not taken for its own', async () => {
    const next = `GET /health HTTP/1.1\r\n${HOST}\r\nGARBAGE\r\n\r\n`
    const [first, second] = await linesOf(() => rawExchange(rig.proxy.port, next), 2)
    assert.deepEqual([first!.target, first!.status, first!.id], ['/health', 200, 'id'])
    assert.deepEqual([second!.target, second!.method, second!.user_agent, second!.status], ['', '', '-', 400])
    assert.notEqual(second!.id, 'id')
  })

  it('what is no HTTP at all is 400, though nobody could be told', async () => {
    let text = ''
    const [line] = await linesOf(async () => {
      text = await sent('SSH-2.0-OpenSSH_9.6 what is this\r\n\r\n')
    })
    assert.deepEqual([text === '' || text.startsWith('HTTP/1.1 400'), line!.status, line!.end], [true, 400, 'REQUEST_MALFORMED'])
  })

  const GET: Field[] = [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/s/x.Y/Z'],
    [':authority', 'suite.test'],
    ['user-agent', 'ua'],
  ]
  const LARGE: Field = ['x-large', 'l'.repeat(2 * MAX_HEADER_BYTES)]
  const call = (...more: Field[]) => grpcRequest('/s/x.Y/Z', more)
  for (const [title, fields, status, grpc, end] of [
    ['a head that is too large', [...GET, LARGE], 431, undefined, 'REQUEST_HEAD_TOO_LARGE'],
    ['a call whose head is too large', call(LARGE), 200, 8, 'REQUEST_HEAD_TOO_LARGE'],
    ['a field that is not allowed', [...GET, ['connection', 'close']], 400, undefined, 'REQUEST_MALFORMED'],
    ['a call with a name in capitals', call(['X-Upper', 'x']), 400, 13, 'REQUEST_MALFORMED'],
    ['CR and LF in a value', [...GET, ['x-a', 'b\r\nc']], 400, undefined, 'REQUEST_MALFORMED'],
  ] as [string, Field[], number, number | undefined, string][]) {
    it(`HTTP/2, ${title}: ${status} ${grpc === undefined ? '' : `gRPC ${grpc} `}${end}`, async () => {
      const [line] = await linesOf(() => isOver(rig.wire.open(fields, 'end')))
      const { method, target, authority } = { method: fields[0]![1], target: '/s/x.Y/Z', authority: 'suite.test' }
      const wanted = { client: '127.0.0.1', protocol: 'HTTP/2.0', method, target, authority, status, grpc_status: grpc, end }
      assert.deepEqual(pick(line!, wanted), { ...wanted })
    })
  }

  it('HTTP/2, an Extended CONNECT that is not served: 501', async () => {
    const fields: Field[] = [[':method', 'CONNECT'], [':protocol', 'other'], ...GET.slice(1)]
    const [line] = await linesOf(() => isOver(rig.wire.open(fields, 'more')))
    assert.deepEqual([line!.method, line!.status, line!.end], ['CONNECT', 501, 'REQUEST_MALFORMED'])
  })

  it('HTTP/2, a body that is not as long as it says: 400 REQUEST_MALFORMED, gRPC 13, nothing cancelled', async () => {
    const wanted = { status: 400, grpc_status: 13, end: 'REQUEST_MALFORMED', cancelled: undefined, bytes_in: 0 }
    const [line] = await linesOf(async () => {
      const stream = rig.wire.open(call(['content-length', '3']), 'more')
      rig.wire.data(stream.id, Buffer.from('more'))
      await isOver(stream)
      assert.equal(stream.resetCode, RST.PROTOCOL)
    })
    assert.deepEqual(pick(line!, wanted), wanted)
  })

  it('HTTP/2, a call whose message stops: 200, gRPC 4 REQUEST_TOO_SLOW', async () => {
    const [line] = await linesOf(async () => {
      const stream = rig.wire.open(call(), 'more')
      rig.wire.data(stream.id, Buffer.from([0, 0, 0]))
      await isOver(stream)
    })
    assert.deepEqual([line!.status, line!.grpc_status, line!.end, line!.bytes_in], [200, 4, 'REQUEST_TOO_SLOW', 3])
  })

  it('HTTP/2, a stream beyond max_streams: 503 TOO_MANY_STREAMS, and what is open goes on', async () => {
    rig.act = () => {}
    const wire = await openWire(rig.proxy.port)
    const open = Array.from({ length: MAX_STREAMS }, () => wire.open(call(), 'end'))
    const [line] = await linesOf(async () => {
      const refused = wire.open(call(), 'end')
      await isOver(refused)
      assert.equal(refused.resetCode, RST.REFUSED)
    })
    assert.deepEqual([line!.status, line!.grpc_status, line!.end], [503, 14, 'TOO_MANY_STREAMS'])
    assert.ok(open.every(({ shape }) => shape === ''))
    await linesOf(() => wire.close(), MAX_STREAMS)
  })

  for (const [title, act, status, end, code] of [
    [
      'a block that is none',
      (wire: Wire) => wire.send(frame(TYPE.HEADERS, 5, 1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0x7f]))),
      400,
      'REQUEST_MALFORMED',
      9,
    ],
    ['an even stream', (wire: Wire) => wire.send(frame(TYPE.HEADERS, 5, 2, headerBlock(GET))), 400, 'REQUEST_MALFORMED', 1],
    [
      'a head that stops',
      (wire: Wire) => wire.send(frame(TYPE.HEADERS, 5, 1, Buffer.alloc(16_000)).subarray(0, 20)),
      408,
      'REQUEST_TOO_SLOW',
      RST.CALM,
    ],
    [
      'a flood of PINGs',
      (wire: Wire) => wire.send(Buffer.concat(Array.from({ length: 20_000 }, () => frame(TYPE.PING, 0, 0, Buffer.alloc(8))))),
      429,
      'CONNECTION_FLOODED',
      RST.CALM,
    ],
  ] as [string, (wire: Wire) => void, number, string, number][]) {
    it(`HTTP/2, ${title} ends the connection: one line, ${status} ${end}`, async () => {
      const [line] = await linesOf(async () => {
        const wire = await openWire(rig.proxy.port)
        act(wire)
        await until(() => wire.closed)
        assert.equal(wire.goaways[0]?.code, code)
      })
      const wanted = { client: '127.0.0.1', protocol: 'HTTP/2.0', method: '', target: '', status, end }
      assert.deepEqual(pick(line!, wanted), wanted)
    })
  }

  it('HTTP/2: 20,000 refused requests of one client are as few lines as its resets are allowed', async () => {
    const known = lines().length
    const block = headerBlock([...GET, ['connection', 'close']])
    const wire = await openWire(rig.proxy.port)
    const frames = Array.from({ length: 20_000 }, (_, at) => frame(TYPE.HEADERS, 5, 1 + 2 * at, block))
    wire.send(Buffer.concat(frames))
    await until(() => lines().length > known + 1)
    await new Promise(resolve => setTimeout(resolve, 400))
    const count = lines().length - known
    wire.close()
    assert.ok(count <= 2 * 500 + 2, `${count} lines`)
  })
})

function whole(method = 'POST'): Line {
  return { method, target: '/w/a', authority: 'h', user_agent: 'ua', id: 'id' }
}

function pick(line: Line, keys: Line): Line {
  return Object.fromEntries(Object.keys(keys).map(key => [key, line[key]]))
}
