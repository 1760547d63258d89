// Requests of HTTP/2 clients: which heads are served and how they look then, which reach nobody, and what becomes of answers.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { NeverIndexed } from '../../../src/proxy/http2/hpack/never-indexed.js'
import { FLAG, frame, headerBlock, type RawPeer, rawClient, request, settingsFrame, TYPE } from './raw-peer.js'
import { Echo, ServedStream, until } from './recorder.js'
import { http2Door } from './relay.js'

const END = FLAG.END_STREAM
const base = request('/a', [], 'GET')
const change = (name: string, value: string) => base.map(([key, old]) => [key, key === name ? value : old] as [string, string])
const without = (name: string) => base.filter(([key]) => key !== name)

describe('a request that reaches nobody', () => {
  let served: ServedStream[] = []
  let door: Awaited<ReturnType<typeof http2Door>>
  let peer: RawPeer
  let id = -1
  before(async () => {
    door = await http2Door(stream => served.push(new ServedStream(stream)))
    peer = await rawClient(door.port)
  })
  after(async () => {
    peer.close()
    await door.close()
  })
  const rows: [string, [string, string][]][] = [
    ['an upper-case name', [...base, ['X-Upper', '1']]],
    ['a name with a space', [...base, ['x a', '1']]],
    ['a name with a colon', [...base, ['x:a', '1']]],
    ['an empty name', [...base, ['', '1']]],
    ['CR in a value', [...base, ['x-a', 'a\rb']]],
    ['LF in a value', [...base, ['x-a', 'a\nb']]],
    ['NUL in a value', [...base, ['x-a', 'a\0b']]],
    ['white space at the edge of a value', [...base, ['x-a', ' a']]],
    ['transfer-encoding', [...base, ['transfer-encoding', 'chunked']]],
    ['connection', [...base, ['connection', 'close']]],
    ['keep-alive', [...base, ['keep-alive', '5']]],
    ['proxy-connection', [...base, ['proxy-connection', 'close']]],
    ['upgrade', [...base, ['upgrade', 'websocket']]],
    ['te: gzip', [...base, ['te', 'gzip']]],
    ['te: trailers, deflate', [...base, ['te', 'trailers, deflate']]],
    ['host that differs from :authority', [...base, ['host', 'other']]],
    ['two hosts', [...base, ['host', 'h'], ['host', 'h']]],
    ['neither :authority nor host', without(':authority')],
    ['an empty :authority', change(':authority', '')],
    ['userinfo in :authority', change(':authority', 'u@h')],
    ['a slash in :authority', change(':authority', 'h/x')],
    ['a port that is none', change(':authority', 'h:8o')],
    ['an empty :path', change(':path', '')],
    [':path without a slash', change(':path', 'a')],
    [':path that is a URI', change(':path', 'http://h/a')],
    [':path with a space', change(':path', '/a b')],
    [':path with a fragment', change(':path', '/a#b')],
    [':path with a byte beyond ASCII', change(':path', '/\xe9')],
    [':path * that is no OPTIONS', change(':path', '*')],
    [':method with a space', change(':method', 'GE T')],
    ['an empty :method', change(':method', '')],
    ['no :method', without(':method')],
    ['no :scheme', without(':scheme')],
    ['no :path', without(':path')],
    [':scheme junk', change(':scheme', 'ftp')],
    ['two :path', [...base, [':path', '/b']]],
    ['two :method', [...base, [':method', 'GET']]],
    ['an unknown pseudo field', [...base, [':other', '1']]],
    ['a pseudo field after a plain one', [['x-a', '1'], ...base]],
    [':status', [...base, [':status', '200']]],
    [':protocol without CONNECT', [...base, [':protocol', 'websocket']]],
    ['CONNECT with :path but no :protocol', change(':method', 'CONNECT')],
    ['two content-lengths', [...base, ['content-length', '0'], ['content-length', '0']]],
    ['content-length that is no number', [...base, ['content-length', '+0']]],
    ['content-length without a body', [...base, ['content-length', '1']]],
  ]
  for (const [title, fields] of rows) {
    it(`${title}: RST_STREAM PROTOCOL_ERROR`, async () => {
      id += 2
      const mine = id
      peer.headers(mine, fields, END)
      await peer.until('RST_STREAM', one => one.resetCode(mine) !== -1)
      assert.deepEqual([peer.resetCode(mine), served.length, peer.goawayCode], [1, 0, -1])
    })
  }

  it('the connection and its tables are sound after all of them', async () => {
    id += 2
    peer.headers(id, [...base, ['x-a', 'b']], END)
    await until('a request', () => served.length === 1)
    assert.deepEqual(served[0]!.stream.head.fields, ['x-a', 'b'])
    served = []
  })
})

describe('a request that is served', () => {
  it('has its head as it came, without pseudo fields and host', async () => {
    const served: ServedStream[] = []
    const door = await http2Door(stream => served.push(new ServedStream(stream)))
    const peer = await rawClient(door.port)
    peer.headers(
      1,
      [
        ...request('/a?b=%2f', [
          ['host', 'H'],
          ['te', 'trailers'],
          ['cookie', 'a=1'],
          ['cookie', 'b=2'],
          ['x-bin', 'AA='],
        ]),
        ['content-length', '4'],
      ],
      0,
    )
    peer.data(1, 'te', 0)
    peer.data(1, 'st', 0)
    peer.headers(1, [['x-sum', '9']], END)
    await until('the end', () => served[0]?.trailers !== undefined && served[0]?.trailers !== null)
    const { head } = served[0]!.stream
    assert.deepEqual(head, {
      protocol: 'h2c',
      version: 'HTTP/2.0',
      method: 'POST',
      target: '/a?b=%2f',
      scheme: 'http',
      authority: 'h',
      fields: ['te', 'trailers', 'cookie', 'a=1', 'cookie', 'b=2', 'x-bin', 'AA=', 'content-length', '4'],
      bodyless: false,
      contentLength: 4,
      upgrade: null,
      client: '127.0.0.1',
      neverIndexed: new NeverIndexed(),
    })
    assert.deepEqual([String(served[0]!.body), served[0]!.trailers], ['test', ['x-sum', '9']])
    peer.close()
    await until('its leaving', () => served[0]!.seen.includes('closed'))
    await door.close()
  })

  const variants: [string, [string, string][], Record<string, unknown>][] = [
    ['host alone names the authority', [...without(':authority'), ['host', 'example:80']], { authority: 'example:80', fields: [] }],
    ['an IPv6 authority', change(':authority', '[::1]:80'), { authority: '[::1]:80' }],
    [':scheme https on a cleartext door', change(':scheme', 'https'), { scheme: 'http' }],
    [
      'OPTIONS *',
      [
        [':method', 'OPTIONS'],
        [':scheme', 'http'],
        [':path', '*'],
        [':authority', 'h'],
      ],
      { method: 'OPTIONS', target: '*' },
    ],
    [
      'CONNECT',
      [
        [':method', 'CONNECT'],
        [':authority', 'h:1'],
      ],
      { method: 'CONNECT', target: 'h:1', authority: 'h:1' },
    ],
  ]
  for (const [title, fields, expected] of variants) {
    it(title, async () => {
      const served: ServedStream[] = []
      const door = await http2Door(stream => served.push(new ServedStream(stream)))
      const peer = await rawClient(door.port)
      peer.headers(1, fields, END)
      await until('a request', () => served.length === 1)
      const head = served[0]!.stream.head as unknown as Record<string, unknown>
      for (const name of Object.keys(expected)) assert.deepEqual(head[name], expected[name], name)
      peer.close()
      await door.close()
    })
  }

  it('40 KiB of fields in CONTINUATIONs of 1 KiB arrive whole', async () => {
    const served: ServedStream[] = []
    const door = await http2Door(stream => served.push(new ServedStream(stream)))
    const peer = await rawClient(door.port)
    const big = Array.from({ length: 10 }, (_, at) => [`x-${at}`, String(at).repeat(4096)] as [string, string])
    const block = headerBlock([...base, ...big])
    const pieces: Buffer[] = []
    for (let at = 0; at < block.length; at += 1024) {
      const last = at + 1024 >= block.length ? FLAG.END_HEADERS : 0
      pieces.push(frame(at === 0 ? TYPE.HEADERS : TYPE.CONTINUATION, last | (at === 0 ? END : 0), 1, block.subarray(at, at + 1024)))
    }
    peer.send(...pieces)
    await until('a request', () => served.length === 1)
    assert.deepEqual(served[0]!.stream.head.fields, big.flat())
    peer.close()
    await door.close()
  })

  for (const [title, more, status, grpc] of [
    ['431', [], '431', undefined],
    ['a trailers-only gRPC answer with status 8', [['content-type', 'application/grpc+proto']], '200', '8'],
  ] as [string, [string, string][], string, string | undefined][]) {
    it(`a head above the limit gets ${title}, and HPACK stays in step`, async () => {
      const served: ServedStream[] = []
      const door = await http2Door(stream => served.push(new ServedStream(stream)), { maxHeaderBytes: 8192 })
      const peer = await rawClient(door.port)
      peer.headers(1, [...request('/', more), ['x-big', 'a'.repeat(9000)]], 0)
      await peer.until('the answer', one => one.hasEnded(1) && one.resetCode(1) !== -1)
      const { fields } = peer.of(TYPE.HEADERS, 1)[0]!
      assert.deepEqual(
        [fields[1], fields[fields.indexOf('grpc-status') + 1]].slice(0, grpc === undefined ? 1 : 2),
        grpc === undefined ? [status] : [status, grpc],
      )
      assert.deepEqual([peer.resetCode(1), served.length], [0, 0])
      peer.headers(3, request('/', [['x-a', '1']]), END)
      await until('the next', () => served.length === 1)
      peer.close()
      await door.close()
    })
  }

  it('an Extended CONNECT for websocket is a GET that asks for an upgrade; 101 is 200 to the client, and bytes go both ways', async () => {
    const served: ServedStream[] = []
    const door = await http2Door(stream => served.push(new ServedStream(stream)))
    const peer = await rawClient(door.port)
    await peer.until('SETTINGS', one => one.of(TYPE.SETTINGS).length > 0)
    assert.ok(peer.of(TYPE.SETTINGS)[0]!.payload.includes(Buffer.from([0, 8, 0, 0, 0, 1])))
    peer.headers(
      1,
      [
        [':method', 'CONNECT'],
        [':protocol', 'websocket'],
        [':scheme', 'http'],
        [':path', '/chat'],
        [':authority', 'h'],
      ],
      0,
    )
    await until('a request', () => served.length === 1)
    const { stream } = served[0]!
    assert.deepEqual([stream.head.method, stream.head.upgrade, stream.head.bodyless], ['GET', 'websocket', false])
    stream.sendHead(101, ['sec-websocket-accept', 'x', 'sec-websocket-protocol', 'p'], 'later')
    peer.data(1, 'ping', 0)
    await until('its bytes', () => served[0]!.body.length === 4)
    stream.sendData(Buffer.from('pong'), 0, 4)
    stream.sendEnd([])
    await peer.until('the end', one => one.hasEnded(1))
    assert.deepEqual(peer.of(TYPE.HEADERS, 1)[0]!.fields, [':status', '200', 'sec-websocket-protocol', 'p'])
    assert.equal(String(peer.body(1)), 'pong')
    peer.close()
    await door.close()
  })

  it('an Extended CONNECT for anything else gets 501', async () => {
    const door = await http2Door(stream => new ServedStream(stream))
    const peer = await rawClient(door.port)
    peer.headers(
      1,
      [
        [':method', 'CONNECT'],
        [':protocol', 'connect-udp'],
        [':scheme', 'http'],
        [':path', '/'],
        [':authority', 'h'],
      ],
      0,
    )
    await peer.until('an answer', one => one.hasEnded(1))
    assert.equal(peer.of(TYPE.HEADERS, 1)[0]!.fields[1], '501')
    peer.close()
    await door.close()
  })
})

describe('an answer', () => {
  it('of one HEADERS frame is one HEADERS frame; with a body its last DATA has END_STREAM; with trailers they have', async () => {
    const door = await http2Door(stream => {
      new ServedStream(stream)
      if (stream.head.target === '/head') return stream.sendHead(200, ['grpc-status', '0'], 'now')
      stream.sendInformational(103, ['link', 'x'])
      stream.sendHead(200, [], 'later')
      stream.sendData(Buffer.from('body'), 0, 4)
      stream.sendEnd(stream.head.target === '/body' ? [] : ['grpc-status', '0'])
    })
    const peer = await rawClient(door.port)
    for (const [at, path] of ['/head', '/body', '/trailers'].entries()) peer.headers(at * 2 + 1, request(path), END)
    await peer.until('all answers', one => [1, 3, 5].every(id => one.hasEnded(id)))
    const shape = (id: number) => peer.frames.filter(one => one.id === id).map(one => `${one.type}:${one.flags}`)
    assert.deepEqual([shape(1), shape(3), shape(5)], [['1:5'], ['1:4', '1:4', '0:1'], ['1:4', '1:4', '0:0', '1:5']])
    peer.close()
    await door.close()
  })

  it('that is complete before its request is followed by RST NO_ERROR, and late frames disturb nobody', async () => {
    const served: ServedStream[] = []
    const door = await http2Door(stream => served.push(new ServedStream(stream)))
    const peer = await rawClient(door.port)
    peer.headers(1, request(), 0)
    await until('a request', () => served.length === 1)
    served[0]!.stream.sendHead(200, [], 'later')
    served[0]!.stream.sendEnd(['grpc-status', '3'])
    await peer.until('RST_STREAM', one => one.resetCode(1) !== -1)
    assert.deepEqual([peer.resetCode(1), served[0]!.seen], [0, ['sent']])
    // Far more than the stream's window: the connection's must be given back.
    for (let at = 0; at < 400; at++) peer.data(1, Buffer.alloc(16_384), 0)
    peer.headers(1, [['x-late', '1']], END)
    peer.headers(3, request(), END)
    await until('the next request', () => served.length === 2)
    assert.equal(peer.goawayCode, -1)
    peer.close()
    await door.close()
  })

  it('given at once to a request whose body comes in the same read is no reset', async () => {
    const door = await http2Door(stream => {
      new ServedStream(stream)
      stream.sendHead(404, [], 'now')
    })
    const peer = await rawClient(door.port)
    peer.send(
      frame(TYPE.HEADERS, FLAG.END_HEADERS, 1, headerBlock(request())),
      frame(TYPE.DATA, END, 1, Buffer.from('all of it')),
      frame(TYPE.PING, 0, 0, Buffer.alloc(8)),
    )
    await peer.until('PING ACK', one => one.of(TYPE.PING).length === 1)
    assert.deepEqual([peer.hasEnded(1), peer.resetCode(1)], [true, -1])
    peer.close()
    await door.close()
  })

  it("a reset of ours ends the stream with its code; the client's own is told once", async () => {
    const served: ServedStream[] = []
    const door = await http2Door(stream => served.push(new ServedStream(stream)))
    const peer = await rawClient(door.port)
    peer.headers(1, request(), 0)
    peer.headers(3, request(), 0)
    await until('both', () => served.length === 2)
    served[0]!.stream.sendReset(2)
    peer.send(frame(TYPE.RST, 0, 3, Buffer.from([0, 0, 0, 8])))
    await peer.until('RST_STREAM', one => one.resetCode(1) !== -1)
    await until('the reset', () => served[1]!.seen.length > 0)
    served[1]!.stream.sendHead(200, [], 'now')
    assert.deepEqual([peer.resetCode(1), served[0]!.seen, served[1]!.seen], [2, [], ['reset']])
    peer.close()
    await door.close()
  })

  it('a head larger than a frame goes out as HEADERS and CONTINUATION', async () => {
    const fields = Array.from({ length: 12 }, (_, at) => [`x-${at}`, String(at % 10).repeat(4000)]).flat()
    const door = await http2Door(stream => {
      new ServedStream(stream)
      stream.sendHead(200, fields, 'now')
    })
    const { connect } = await import('node:http2')
    const session = connect(`http://127.0.0.1:${door.port}`, { settings: { maxHeaderListSize: 1 << 20 } })
    const stream = session.request({ ':path': '/' })
    const raw = await new Promise<string[]>((resolve, reject) => {
      stream.on('response', (_headers: object, _flags: number, list: string[]) => resolve(list)).on('error', reject)
    })
    assert.deepEqual(raw.slice(2), fields)
    session.destroy()
    await door.close()
  })

  it('goes on byte by byte where the window is 1, and with SETTINGS that make it negative and positive again', async () => {
    const door = await http2Door(stream => new Echo(stream))
    const peer = await rawClient(door.port, [[4, 1]])
    peer.headers(1, request('/', [], 'GET'), END)
    await peer.until('the first byte', one => one.body(1).length === 1)
    peer.send(settingsFrame([[4, 3]]))
    await peer.until('two more', one => one.body(1).length === 3)
    peer.send(settingsFrame([[4, 0]]), frame(TYPE.WINDOW_UPDATE, 0, 1, Buffer.from([0, 0, 0, 3])), frame(TYPE.PING, 0, 0, Buffer.alloc(8)))
    await peer.until('PING ACK', one => one.of(TYPE.PING).length === 1)
    assert.equal(peer.body(1).length, 3)
    peer.send(settingsFrame([[4, 10]]))
    await peer.until('the end', one => one.hasEnded(1))
    assert.equal(String(peer.body(1)), 'hello')
    peer.close()
    await door.close()
  })
})
