// What a service's side of HTTP/2 reports of answers, resets, farewells and nonsense, seen through the pool's contract.
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { describe, it } from 'node:test'
import { Http2Pool } from '../../../src/proxy/upstream/http2-pool.js'
import { freePort } from '../../free-port.js'
import { FLAG, frame, headerBlock, PADDED, PUSH_PROMISE, type RawPeer, rawService, settingsFrame, TYPE, uint32 } from './raw-peer.js'
import { AttemptRecord, until, upstreamHead } from './recorder.js'

const END = FLAG.END_STREAM
const LIMITS = { maxConnections: 0, maxHeaderBytes: 16_384, maxHeaderFields: 100, idleMs: 60_000 }
const bytes = (length: number) => Buffer.alloc(length)
const head = (id: number, flags: number, fields: [string, string][] = [[':status', '200']]) =>
  frame(TYPE.HEADERS, FLAG.END_HEADERS | flags, id, headerBlock(fields))
const data = (id: number, flags: number, text = 'test') => frame(TYPE.DATA, flags, id, Buffer.from(text))

/** One request to a service that answers with these bytes when the head has come. */
async function answered(answer: Buffer[], more: Parameters<typeof upstreamHead>[0] = {}) {
  const service = await rawService(peer => {
    void peer
      .until('a request', one => one.of(TYPE.HEADERS).length > 0, 30_000)
      .then(
        () => peer.send(...answer),
        () => {},
      )
  })
  const pool = new Http2Pool({ host: '127.0.0.1', port: service.port }, LIMITS)
  const record = new AttemptRecord()
  const attempt = pool.open(upstreamHead(more), record, 2000)
  await record.done()
  const [peer] = service.peers as [RawPeer]
  return { record, attempt, pool, peer, service }
}

describe('an answer that fails its call', () => {
  const rows: [string, Buffer[], string, string, number | undefined][] = [
    ['RST REFUSED_STREAM', [frame(TYPE.RST, 0, 1, uint32(7))], 'UPSTREAM_BROKEN', 'refused', 14],
    ['RST NO_ERROR before an answer', [frame(TYPE.RST, 0, 1, uint32(0))], 'UPSTREAM_PROTOCOL', 'no', 13],
    ['RST CANCEL', [frame(TYPE.RST, 0, 1, uint32(8))], 'UPSTREAM_PROTOCOL', 'no', 1],
    ['RST INTERNAL_ERROR', [frame(TYPE.RST, 0, 1, uint32(2))], 'UPSTREAM_PROTOCOL', 'no', 13],
    ['RST ENHANCE_YOUR_CALM after a head', [head(1, 0), frame(TYPE.RST, 0, 1, uint32(11))], 'UPSTREAM_PROTOCOL', 'no', 8],
    ['RST INADEQUATE_SECURITY', [frame(TYPE.RST, 0, 1, uint32(12))], 'UPSTREAM_PROTOCOL', 'no', 7],
    ['RST HTTP_1_1_REQUIRED', [frame(TYPE.RST, 0, 1, uint32(13))], 'UPSTREAM_PROTOCOL', 'no', 13],
    ['GOAWAY below our stream', [frame(TYPE.GOAWAY, 0, 0, bytes(8))], 'UPSTREAM_BROKEN', 'unsent', 14],
    ['no status', [head(1, END, [['x-a', '1']])], 'UPSTREAM_PROTOCOL', 'no', 13],
    [
      'two status fields',
      [
        head(1, END, [
          [':status', '200'],
          [':status', '200'],
        ]),
      ],
      'UPSTREAM_PROTOCOL',
      'no',
      13,
    ],
    ['a status of two digits', [head(1, END, [[':status', '20']])], 'UPSTREAM_PROTOCOL', 'no', 13],
    [
      'a pseudo field of requests',
      [
        head(1, END, [
          [':status', '200'],
          [':path', '/'],
        ]),
      ],
      'UPSTREAM_PROTOCOL',
      'no',
      13,
    ],
    [
      'a connection field',
      [
        head(1, END, [
          [':status', '200'],
          ['connection', 'close'],
        ]),
      ],
      'UPSTREAM_PROTOCOL',
      'no',
      13,
    ],
    [
      'CRLF in a value',
      [
        head(1, END, [
          [':status', '200'],
          ['x-a', 'a\r\nb'],
        ]),
      ],
      'UPSTREAM_PROTOCOL',
      'no',
      13,
    ],
    [
      'an upper-case name',
      [
        head(1, END, [
          [':status', '200'],
          ['X-A', 'a'],
        ]),
      ],
      'UPSTREAM_PROTOCOL',
      'no',
      13,
    ],
    ['101', [head(1, 0, [[':status', '101']])], 'UPSTREAM_PROTOCOL', 'no', 13],
    ['100 that ends the stream', [head(1, END, [[':status', '100']])], 'UPSTREAM_PROTOCOL', 'no', 13],
    ['DATA before a head', [data(1, END)], 'UPSTREAM_PROTOCOL', 'no', 13],
    [
      'a body longer than its content-length',
      [
        head(1, 0, [
          [':status', '200'],
          ['content-length', '3'],
        ]),
        data(1, END),
      ],
      'UPSTREAM_PROTOCOL',
      'no',
      13,
    ],
    [
      'a body shorter than its content-length',
      [
        head(1, 0, [
          [':status', '200'],
          ['content-length', '5'],
        ]),
        data(1, END),
      ],
      'UPSTREAM_PROTOCOL',
      'no',
      13,
    ],
    [
      'a content-length without a body',
      [
        head(1, END, [
          [':status', '200'],
          ['content-length', '5'],
        ]),
      ],
      'UPSTREAM_PROTOCOL',
      'no',
      13,
    ],
    [
      'two content-lengths',
      [
        head(1, END, [
          [':status', '200'],
          ['content-length', '0'],
          ['content-length', '0'],
        ]),
      ],
      'UPSTREAM_PROTOCOL',
      'no',
      13,
    ],
    ['a body to 204', [head(1, 0, [[':status', '204']]), data(1, END)], 'UPSTREAM_PROTOCOL', 'no', 13],
    ['trailers without an end', [head(1, 0), head(1, 0, [['x-a', '1']])], 'UPSTREAM_PROTOCOL', 'no', 13],
    ['trailers with a status', [head(1, 0), head(1, END)], 'UPSTREAM_PROTOCOL', 'no', 13],
    [
      'a head above the limit',
      [
        head(1, END, [
          [':status', '200'],
          ['x-a', 'a'.repeat(9000)],
          ['x-b', 'b'.repeat(7000)],
          ['x-c', 'c'.repeat(300)],
        ]),
      ],
      'UPSTREAM_PROTOCOL',
      'no',
      8,
    ],
    [
      'DATA beyond the window',
      [head(1, 0), ...Array.from({ length: 17 }, () => frame(TYPE.DATA, 0, 1, bytes(16_384)))],
      'UPSTREAM_PROTOCOL',
      'no',
      13,
    ],
    ['WINDOW_UPDATE of 0', [frame(TYPE.WINDOW_UPDATE, 0, 1, uint32(0))], 'UPSTREAM_PROTOCOL', 'no', 13],
  ]
  for (const [title, answer, code, again, grpc] of rows) {
    it(`${title}: ${code}, again: ${again}, grpc ${grpc}`, async () => {
      const { record, pool, service, peer } = await answered(answer)
      assert.deepEqual([record.failure?.code, record.failure?.again, record.failure?.grpc], [code, again, grpc])
      assert.equal(pool.load, 0)
      if (!title.startsWith('GOAWAY')) {
        // The connection lives: another call goes through it.
        const next = new AttemptRecord()
        pool.open(upstreamHead(), next, 2000)
        await peer.until('the next', one => one.of(TYPE.HEADERS, 3).length > 0)
        peer.send(head(3, END))
        await next.done()
        assert.equal(next.status, 200)
      }
      pool.retire()
      await service.close()
    })
  }
})

describe('nonsense that ends the connection', () => {
  const [PROTOCOL, FLOW_CONTROL, STREAM_CLOSED, FRAME_SIZE, COMPRESSION] = [1, 3, 5, 6, 9]
  const rows: [string, number, Buffer[]][] = [
    ['PUSH_PROMISE', PROTOCOL, [frame(PUSH_PROMISE, FLAG.END_HEADERS, 1, Buffer.concat([uint32(2), headerBlock([[':method', 'GET']])]))]],
    ['ENABLE_PUSH of 1', PROTOCOL, [settingsFrame([[2, 1]])]],
    ['HEADERS on stream 0', PROTOCOL, [head(0, END)]],
    ['HEADERS on an even stream', PROTOCOL, [head(2, END)]],
    ['HEADERS on a stream we have not begun', PROTOCOL, [head(3, END)]],
    ['DATA on an idle stream', PROTOCOL, [data(2, END)]],
    ['RST_STREAM on an idle stream', PROTOCOL, [frame(TYPE.RST, 0, 2, uint32(8))]],
    ['WINDOW_UPDATE on an idle stream', PROTOCOL, [frame(TYPE.WINDOW_UPDATE, 0, 2, uint32(100))]],
    ['CONTINUATION on an idle stream', PROTOCOL, [frame(TYPE.CONTINUATION, FLAG.END_HEADERS, 2, headerBlock([]))]],
    ['DATA in a header block', PROTOCOL, [frame(TYPE.HEADERS, 0, 1, headerBlock([])), data(1, 0)]],
    ['padding longer than its frame', PROTOCOL, [head(1, 0), frame(TYPE.DATA, PADDED, 1, Buffer.from([5, 0, 0]))]],
    ['broken HPACK', COMPRESSION, [frame(TYPE.HEADERS, FLAG.END_HEADERS, 1, Buffer.from([0x80]))]],
    ['a frame that is too large', FRAME_SIZE, [frame(TYPE.HEADERS, FLAG.END_HEADERS, 1, bytes(16_385))]],
    ['SETTINGS of 3 bytes', FRAME_SIZE, [frame(TYPE.SETTINGS, 0, 0, bytes(3))]],
    ['INITIAL_WINDOW_SIZE above 2^31-1', FLOW_CONTROL, [settingsFrame([[4, 2 ** 31]])]],
    ['a connection window above 2^31-1', FLOW_CONTROL, [frame(TYPE.WINDOW_UPDATE, 0, 0, uint32(2 ** 31 - 1))]],
    ['DATA after the end of an answer', STREAM_CLOSED, [head(1, END), data(1, END)]],
    ['HEADERS after the end of an answer', STREAM_CLOSED, [head(1, END), head(1, END)]],
    ['DATA after RST_STREAM', STREAM_CLOSED, [head(1, 0), frame(TYPE.RST, 0, 1, uint32(8)), data(1, END)]],
    ['PINGs without end', 11, [Buffer.concat(Array.from({ length: 5000 }, () => frame(TYPE.PING, 0, 0, bytes(8))))]],
  ]
  for (const [title, code, answer] of rows) {
    it(`${title}: GOAWAY ${code}; its call is not tried again, the next one gets a new connection`, async () => {
      const { record, pool, service, peer } = await answered(answer)
      await peer.until('GOAWAY', one => one.goawayCode !== -1)
      assert.equal(peer.goawayCode, code)
      if (code !== STREAM_CLOSED)
        assert.deepEqual([record.failure?.code, record.failure?.again, record.failure?.grpc], ['UPSTREAM_PROTOCOL', 'no', 13])
      const next = new AttemptRecord()
      const attempt = pool.open(upstreamHead(), next, 2000)
      await until('a new connection', () => service.peers.length === 2)
      attempt.cancel()
      pool.retire()
      await service.close()
    })
  }
})

describe('an answer that is sound', () => {
  it('is reported in its parts: 1xx, head, body, trailers', async () => {
    const { record, pool, service } = await answered([
      head(1, 0, [
        [':status', '103'],
        ['link', 'x'],
      ]),
      head(1, 0, [
        [':status', '200'],
        ['content-length', '8'],
        ['x-a', '1'],
      ]),
      data(1, 0),
      frame(TYPE.DATA, PADDED, 1, Buffer.concat([Buffer.from([3]), Buffer.from('more'), bytes(3)])),
      head(1, END, [['grpc-status', '0']]),
    ])
    assert.deepEqual(
      [record.seen, String(record.body), record.fields, record.trailers],
      [['opened', '103', 'head', 'data', 'data', 'end'], 'testmore', ['content-length', '8', 'x-a', '1'], ['grpc-status', '0']],
    )
    assert.equal(pool.load, 0)
    pool.retire()
    await service.close()
  })

  for (const [title, fields, more] of [
    [
      'trailers-only',
      [
        [':status', '200'],
        ['grpc-status', '5'],
      ],
      {},
    ],
    [
      'to HEAD with a content-length',
      [
        [':status', '200'],
        ['content-length', '99'],
      ],
      { method: 'HEAD' },
    ],
    [
      '304 with a content-length',
      [
        [':status', '304'],
        ['content-length', '99'],
      ],
      {},
    ],
  ] as [string, [string, string][], object][]) {
    it(`${title} is one head`, async () => {
      const { record, pool, service } = await answered([head(1, END, fields)], more)
      assert.deepEqual([record.seen, record.fields], [['opened', 'head and end'], fields.slice(1).flat()])
      pool.retire()
      await service.close()
    })
  }

  it('stands when RST NO_ERROR follows it before the request has ended, and late frames disturb no other call', async () => {
    const { record, attempt, pool, peer, service } = await answered(
      [head(1, 0), data(1, END), frame(TYPE.RST, 0, 1, uint32(0)), frame(TYPE.WINDOW_UPDATE, 0, 1, uint32(5))],
      {
        method: 'POST',
        bodyless: false,
      },
    )
    attempt.sendData(Buffer.from('late'), 0, 4)
    attempt.sendEnd([])
    attempt.cancel()
    const next = new AttemptRecord()
    pool.open(upstreamHead(), next, 2000)
    await peer.until('the next', one => one.of(TYPE.HEADERS, 3).length > 0)
    peer.send(frame(TYPE.RST, 0, 1, uint32(0)), head(3, END))
    await next.done()
    assert.deepEqual([record.failure, next.status, peer.goawayCode], [null, 200, -1])
    pool.retire()
    await service.close()
  })

  it('to a cancelled call comes late and disturbs nobody; CANCEL is told at once', async () => {
    const service = await rawService(() => {})
    const pool = new Http2Pool({ host: '127.0.0.1', port: service.port }, LIMITS)
    const record = new AttemptRecord()
    const attempt = pool.open(upstreamHead({ bodyless: false }), record, 2000)
    await record.until(one => one.seen.includes('opened'))
    attempt.cancel()
    const peer = service.peers[0]!
    await peer.until('RST_STREAM', one => one.resetCode(1) !== -1)
    assert.equal(peer.resetCode(1), 8)
    peer.send(head(1, 0), data(1, 0), head(1, END, [['grpc-status', '0']]))
    const next = new AttemptRecord()
    pool.open(upstreamHead(), next, 2000)
    await peer.until('the next', one => one.of(TYPE.HEADERS, 3).length > 0)
    peer.send(head(3, END))
    await next.done()
    assert.deepEqual([next.status, record.seen, pool.load], [200, ['opened'], 0])
    pool.retire()
    await service.close()
  })
})

describe('a request', () => {
  it('goes out as it was handed over: pseudo fields, body, trailers', async () => {
    const service = await rawService(() => {})
    const pool = new Http2Pool({ host: '127.0.0.1', port: service.port }, LIMITS)
    const record = new AttemptRecord()
    const attempt = pool.open(
      upstreamHead({
        method: 'POST',
        target: '/a?b',
        authority: 'x:1',
        bodyless: false,
        fields: ['te', 'trailers', 'x-a', '1', 'x-a', '2'],
      }),
      record,
      2000,
    )
    assert.equal(attempt.isOpen, false)
    await record.until(one => one.seen.includes('opened'))
    assert.equal(attempt.isOpen, true)
    attempt.sendData(Buffer.from('-body-'), 1, 5)
    attempt.sendEnd(['x-sum', '9'])
    const second = pool.open(upstreamHead({ bodyless: false }), new AttemptRecord(), 2000)
    assert.equal(second.isOpen, true)
    second.sendData(Buffer.from('b'), 0, 1)
    second.sendEnd([])
    const peer = service.peers[0]!
    await peer.until('the end', one => one.hasEnded(1) && one.hasEnded(3))
    assert.deepEqual(peer.of(TYPE.HEADERS, 1)[0]!.fields, [
      ':method',
      'POST',
      ':scheme',
      'http',
      ':path',
      '/a?b',
      ':authority',
      'x:1',
      'te',
      'trailers',
      'x-a',
      '1',
      'x-a',
      '2',
    ])
    assert.deepEqual([String(peer.body(1)), peer.of(TYPE.HEADERS, 1)[1]!.fields, record.drained], ['body', ['x-sum', '9'], 4])
    assert.deepEqual(
      peer.frames.filter(one => one.id === 3).map(one => `${one.type}:${one.flags}`),
      ['1:4', '0:1'],
    )
    pool.retire()
    await service.close()
  })

  it('for WebSocket is an Extended CONNECT where the service takes it, and any 2xx is 101', async () => {
    const service = await rawService(() => {}, [[8, 1]])
    const pool = new Http2Pool({ host: '127.0.0.1', port: service.port }, LIMITS)
    const record = new AttemptRecord()
    const attempt = pool.open(
      upstreamHead({ upgrade: 'websocket', target: '/chat', fields: ['sec-websocket-key', 'k', 'sec-websocket-version', '13'] }),
      record,
      2000,
    )
    await record.until(one => one.seen.includes('opened'))
    const peer = service.peers[0]!
    await peer.until('it', one => one.of(TYPE.HEADERS, 1).length > 0)
    assert.deepEqual(peer.of(TYPE.HEADERS, 1)[0]!.fields, [
      ':method',
      'CONNECT',
      ':protocol',
      'websocket',
      ':scheme',
      'http',
      ':path',
      '/chat',
      ':authority',
      'h',
      'sec-websocket-version',
      '13',
    ])
    assert.equal(peer.hasEnded(1), false)
    peer.send(head(1, 0), data(1, 0, 'hi'))
    await record.until(one => one.body.length === 2)
    assert.equal(record.status, 101)
    attempt.sendData(Buffer.from('ho'), 0, 2)
    await peer.until('its bytes', one => one.body(1).length === 2)
    attempt.cancel()
    pool.retire()
    await service.close()
  })

  it('for WebSocket fails where the service does not take Extended CONNECT', async () => {
    const service = await rawService(() => {})
    const pool = new Http2Pool({ host: '127.0.0.1', port: service.port }, LIMITS)
    for (const _ of ['waiting', 'at once']) {
      const record = new AttemptRecord()
      pool.open(upstreamHead({ upgrade: 'websocket' }), record, 2000)
      assert.equal(record.seen.length, 0)
      await record.done()
      assert.deepEqual([record.failure?.code, pool.load], ['UPSTREAM_PROTOCOL', 0])
    }
    pool.retire()
    await service.close()
  })
})

describe('a connection that cannot be had', () => {
  it("nobody listens: UPSTREAM_UNREACHABLE with the system's words", async () => {
    const pool = new Http2Pool({ host: '127.0.0.1', port: await freePort() }, LIMITS)
    const records = [new AttemptRecord(), new AttemptRecord()]
    for (const record of records) pool.open(upstreamHead(), record, 2000)
    for (const record of records) {
      await record.done()
      assert.deepEqual([record.failure?.code, record.failure?.again], ['UPSTREAM_UNREACHABLE', 'unsent'])
      assert.match(record.failure!.message, /ECONNREFUSED/)
    }
    assert.equal(pool.load, 0)
  })

  for (const [title, text, code, again] of [
    ['a service that speaks HTTP/1', 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n', 'UPSTREAM_PROTOCOL', 'no'],
    ['a service that hangs up', '', 'UPSTREAM_UNREACHABLE', 'unsent'],
  ] as const) {
    it(`${title}: ${code}, and nothing of the request has left`, async () => {
      let seen = ''
      const server = createServer(socket => {
        socket.on('error', () => {})
        socket.once('data', chunk => {
          seen += chunk.toString('latin1')
          socket.end(text)
        })
      })
      await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
      const pool = new Http2Pool({ host: '127.0.0.1', port: (server.address() as { port: number }).port }, LIMITS)
      const record = new AttemptRecord()
      pool.open(upstreamHead({ fields: ['x-secret', 'secret-value'] }), record, 2000)
      await record.done()
      assert.deepEqual([record.failure?.code, record.failure?.again, seen.includes('secret')], [code, again, false])
      if (code === 'UPSTREAM_PROTOCOL') assert.equal(record.failure?.message, 'the service does not speak HTTP/2')
      await new Promise(resolve => server.close(resolve))
    })
  }

  it('a service that says nothing: UPSTREAM_UNREACHABLE after connectTimeoutMs', async () => {
    const service = await rawService(peer => {
      peer.answers = false
    }, null)
    const pool = new Http2Pool({ host: '127.0.0.1', port: service.port }, LIMITS)
    const record = new AttemptRecord()
    const startMs = performance.now()
    pool.open(upstreamHead(), record, 120)
    await record.done()
    assert.ok(performance.now() - startMs >= 119)
    assert.deepEqual([record.failure?.code, record.failure?.again, pool.load], ['UPSTREAM_UNREACHABLE', 'unsent', 0])
    await service.close()
  })

  it('a connection lost in mid-call: UPSTREAM_BROKEN, not to be tried again', async () => {
    const service = await rawService(() => {})
    const pool = new Http2Pool({ host: '127.0.0.1', port: service.port }, LIMITS)
    const record = new AttemptRecord()
    pool.open(upstreamHead(), record, 2000)
    await record.until(one => one.seen.includes('opened'))
    await service.peers[0]!.until('it', one => one.of(TYPE.HEADERS).length > 0)
    service.peers[0]!.socket.resetAndDestroy()
    await record.done()
    assert.deepEqual([record.failure?.code, record.failure?.again, record.failure?.grpc], ['UPSTREAM_BROKEN', 'no', 14])
    await service.close()
  })
})
