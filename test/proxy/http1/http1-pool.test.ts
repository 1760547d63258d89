// The services' side of HTTP/1.1: requests as they go out, answers judged, connections kept or dropped, failures told with what may be repeated.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import type { Fields } from '../../../src/core/headers.js'
import type { EndpointAddress } from '../../../src/core/spec.js'
import { AHEAD_BYTES } from '../../../src/proxy/http1/read-credit.js'
import { type Failure, type UpstreamEvents, type UpstreamHead, type UpstreamStream, WINDOW_BYTES } from '../../../src/proxy/stream.js'
import { Http1Pool } from '../../../src/proxy/upstream/http1-pool.js'
import { freePort } from '../../free-port.js'
import { upstreamHead } from '../http2/recorder.js'
import { answering, LIMITS, openService, until } from './loopback.js'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const HEAD = upstreamHead({ target: '/a' })

const pools: Http1Pool[] = []
after(() => pools.forEach(pool => void pool.retire()))

function poolTo(address: number | EndpointAddress, change: Partial<typeof LIMITS> = {}): Http1Pool {
  const pool = new Http1Pool(typeof address === 'number' ? { host: '127.0.0.1', port: address } : address, { ...LIMITS, ...change })
  pools.push(pool)
  return pool
}

/** One attempt and everything that was reported about it. */
class Attempt implements UpstreamEvents {
  readonly stream: UpstreamStream
  isOpened = false
  informationals: [number, Fields][] = []
  status = 0
  fields: Fields = []
  end: 'now' | 'later' | null = null
  body = ''
  trailers: Fields | null = null
  drained = 0
  failure: Failure | null = null
  grants = true
  private isReturned = false

  constructor(pool: Http1Pool, change: Partial<UpstreamHead> = {}, connectTimeoutMs = 1000) {
    this.stream = pool.open({ ...HEAD, ...change }, this, connectTimeoutMs)
    this.isReturned = true
  }

  get isOver(): boolean {
    return this.end === 'now' || this.trailers !== null || this.failure !== null
  }

  opened(): void {
    this.live()
    assert.ok(this.stream.isOpen)
    this.isOpened = true
  }
  informational(status: number, fields: Fields): void {
    this.live()
    this.informationals.push([status, fields])
  }
  answerHead(status: number, fields: Fields, end: 'now' | 'later'): void {
    this.live()
    assert.equal(this.status, 0)
    this.status = status
    this.fields = fields
    this.end = end
  }
  answerData(chunk: Buffer, start: number, end: number): void {
    this.live()
    this.body += chunk.toString('latin1', start, end)
    if (this.grants) this.stream.grant(end - start)
  }
  answerEnd(trailers: Fields): void {
    this.live()
    this.trailers = trailers
  }
  requestDrained(bytes: number): void {
    this.drained += bytes
  }
  failed(failure: Failure): void {
    assert.equal(this.failure, null)
    assert.ok(this.isReturned)
    this.failure = failure
  }

  async over(): Promise<this> {
    await until(() => this.isOver)
    return this
  }

  send(text: string): void {
    this.stream.sendData(Buffer.from(text, 'latin1'), 0, text.length)
  }

  private live(): void {
    assert.ok(this.isReturned && !this.isOver)
  }
}

/** A service that keeps what it gets, per connection. */
async function recordingService(act: (socket: Socket, text: string, number: number) => void) {
  const texts: string[] = []
  const service = await openService((socket, number) => {
    texts[number] = ''
    socket.on('data', chunk => {
      texts[number] += chunk.toString('latin1')
      act(socket, texts[number]!, number)
    })
  })
  return { ...service, texts }
}

describe('a request on the wire', () => {
  const rows: [string, Partial<UpstreamHead>, string[], string][] = [
    ['a plain GET', { fields: ['x-a', 'b', 'x-a', 'c'] }, [], 'GET /a HTTP/1.1\r\nhost: h\r\nx-a: b\r\nx-a: c\r\n\r\n'],
    [
      'TE is named by Connection',
      { fields: ['te', 'trailers'] },
      [],
      'GET /a HTTP/1.1\r\nhost: h\r\nte: trailers\r\nconnection: te\r\n\r\n',
    ],
    ['a POST without a body says so', { method: 'POST' }, [], 'POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n'],
    [
      'a PUT that says so already',
      { method: 'PUT', fields: ['content-length', '0'] },
      [],
      'PUT /a HTTP/1.1\r\nhost: h\r\ncontent-length: 0\r\n\r\n',
    ],
    ['a DELETE without a body says nothing', { method: 'DELETE' }, [], 'DELETE /a HTTP/1.1\r\nhost: h\r\n\r\n'],
    [
      'a body of known length',
      { method: 'POST', bodyless: false, fields: ['content-length', '5'] },
      ['he', 'llo'],
      'POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\n\r\nhello',
    ],
    [
      'F25 a GET with a body keeps its framing',
      { bodyless: false, fields: ['content-length', '1'] },
      ['x'],
      'GET /a HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\n\r\nx',
    ],
    [
      'a body of unknown length, with trailers',
      { method: 'POST', bodyless: false },
      ['he', 'llo'],
      'POST /a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nx-sum: 5\r\n\r\n',
    ],
    [
      'WebSocket',
      { upgrade: 'websocket', bodyless: false },
      [],
      'GET /a HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n',
    ],
  ]
  for (const [title, head, body, expected] of rows) {
    it(title, async () => {
      const service = await recordingService((socket, text) => {
        if (text === expected) socket.write(OK)
      })
      const attempt = new Attempt(poolTo(service.port), head)
      assert.equal(attempt.stream.isOpen, false)
      await until(() => attempt.isOpened)
      for (const piece of body) attempt.send(piece)
      if (head.upgrade === undefined) attempt.stream.sendEnd(['x-sum', '5'])
      await until(
        () => service.texts[0]?.length === expected.length,
        () => JSON.stringify(service.texts[0]),
      )
      assert.equal(service.texts[0], expected)
      await attempt.over()
      assert.deepEqual([attempt.status, attempt.body, attempt.drained], [200, 'ok', body.join('').length])
    })
  }
})

describe('an answer', () => {
  const rows: [string, string, Partial<UpstreamHead>, [number, string, Fields], 'kept' | 'dropped'][] = [
    ['with a length', 'HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 2\r\n\r\nok', {}, [200, 'ok', []], 'kept'],
    [
      'in chunks with trailers',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1;e\r\nk\r\n0\r\nX-Sum: 2\r\n\r\n',
      {},
      [200, 'ok', ['x-sum', '2']],
      'kept',
    ],
    ['without a body', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', {}, [200, '', []], 'kept'],
    ['to HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', { method: 'HEAD' }, [200, '', []], 'kept'],
    [
      'to HEAD, in chunks that do not come',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n',
      { method: 'HEAD' },
      [200, '', []],
      'kept',
    ],
    ['204', 'HTTP/1.1 204 No Content\r\n\r\n', {}, [204, '', []], 'kept'],
    ['204 that announces a body', 'HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n', {}, [204, '', []], 'dropped'],
    ['304 with a length', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', {}, [304, '', []], 'kept'],
    ['with Connection: close', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok', {}, [200, 'ok', []], 'dropped'],
    ['in HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', {}, [200, 'ok', []], 'dropped'],
    [
      'in HTTP/1.0 that keeps alive',
      'HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok',
      {},
      [200, 'ok', []],
      'kept',
    ],
    [
      'F73 longer than its length',
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n',
      {},
      [200, 'ok', []],
      'dropped',
    ],
    [
      'with bytes behind its last chunk',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nX',
      {},
      [200, 'ok', []],
      'dropped',
    ],
    [
      'behind informational heads',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      {},
      [200, 'ok', []],
      'kept',
    ],
  ]
  for (const [title, bytes, head, expected, fate] of rows) {
    for (const pace of ['in one piece', 'byte by byte'] as const) {
      if (pace === 'byte by byte' && /longer|behind its/.test(title)) continue
      it(`${title}, ${pace}: the connection is ${fate}`, async () => {
        const service = await openService(socket =>
          socket.on('data', async () => {
            if (pace === 'in one piece') socket.write(bytes, 'latin1')
            else
              for (const char of bytes) {
                socket.write(char, 'latin1')
                await new Promise(resolve => setImmediate(resolve))
              }
          }),
        )
        const pool = poolTo(service.port)
        const attempt = await new Attempt(pool, head).over()
        assert.equal(attempt.failure, null)
        assert.deepEqual([attempt.status, attempt.body, attempt.trailers ?? []], expected)
        if (title.includes('informational'))
          assert.deepEqual(attempt.informationals, [
            [100, []],
            [103, ['link', '</a>']],
          ])
        assert.equal(pool.load, 0)
        const next = await new Attempt(pool, head).over()
        assert.equal(next.status, expected[0])
        assert.equal(service.sockets.length, fate === 'kept' ? 1 : 2)
      })
    }
  }

  it('of unknown length ends with the connection', async () => {
    const service = await openService(socket => socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\n\r\nall of it')))
    const attempt = await new Attempt(poolTo(service.port)).over()
    assert.deepEqual([attempt.body, attempt.trailers, attempt.failure], ['all of it', [], null])
  })

  const nonsense: [string, string][] = [
    ['both a length and chunks', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc'],
    ['a bare CR in a field', 'HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 0\r\n\r\n'],
    ['LF line ends', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
    ['101 without an Upgrade', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n'],
    ['a flood of informational heads', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(100)],
    ['no HTTP', 'SSH-2.0-OpenSSH_9\r\n'],
    ['a head without an end', `HTTP/1.1 200 OK\r\nX: ${'y'.repeat(70_000)}`],
    ['a chunk with a space behind its size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2 \r\nok\r\n0\r\n\r\n'],
  ]
  for (const [title, bytes] of nonsense) {
    it(`F73 with ${title} is UPSTREAM_PROTOCOL, and its connection is gone`, async () => {
      const service = await openService(socket => socket.on('data', () => socket.write(bytes, 'latin1')))
      const pool = poolTo(service.port)
      const attempt = await new Attempt(pool).over()
      assert.deepEqual([attempt.failure?.code, attempt.failure?.again], ['UPSTREAM_PROTOCOL', 'no'])
      await until(() => pool.load === 0)
      await new Attempt(pool).over()
      assert.equal(service.sockets.length, 2)
    })
  }

  for (const [title, bytes] of [
    ['101 that agrees to something else', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n'],
    ['101 that agrees to nothing', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
  ] as const) {
    it(`${title} is UPSTREAM_PROTOCOL`, async () => {
      const service = await openService(answering(bytes))
      const attempt = await new Attempt(poolTo(service.port), { upgrade: 'websocket', bodyless: false }).over()
      assert.equal(attempt.failure?.code, 'UPSTREAM_PROTOCOL')
    })
  }

  for (const [title, bytes] of [
    ['before a byte of it', ''],
    ['in its head', 'HTTP/1.1 200 OK\r\nCont'],
    ['in its body', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort'],
    ['in a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n'],
  ] as const) {
    for (const how of ['end', 'reset'] as const) {
      it(`cut off ${title} by ${how} is UPSTREAM_BROKEN`, async () => {
        const service = await openService(socket =>
          socket.on('data', () => {
            socket.write(bytes)
            if (how === 'end') socket.end()
            else setTimeout(() => socket.resetAndDestroy(), 20)
          }),
        )
        const attempt = await new Attempt(poolTo(service.port)).over()
        assert.deepEqual([attempt.failure?.code, attempt.failure?.again, attempt.trailers], ['UPSTREAM_BROKEN', 'no', null])
      })
    }
  }

  it('is read only as far as it is granted', async () => {
    let written = 0
    const service = await openService(socket =>
      socket.once('data', () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${32 << 20}\r\n\r\n`)
        const push = () => {
          while (written < 32 << 20) {
            written += 1 << 18
            if (!socket.write(Buffer.alloc(1 << 18))) return socket.once('drain', push)
          }
        }
        push()
      }),
    )
    const attempt = new Attempt(poolTo(service.port))
    attempt.grants = false
    await until(() => attempt.body.length > AHEAD_BYTES)
    await new Promise(resolve => setTimeout(resolve, 100))
    const { length } = attempt.body
    assert.ok(length > AHEAD_BYTES && length <= AHEAD_BYTES + 64 * 1024, `${length} without a grant`)
    assert.ok(written < 24 << 20)
    attempt.grants = true
    attempt.stream.grant(attempt.body.length)
    await attempt.over()
    assert.equal(attempt.body.length, 32 << 20)
  })
})

describe('a request’s body', () => {
  it('towards a service that does not read waits in bounds', async () => {
    const service = await openService(socket => socket.pause())
    const attempt = new Attempt(poolTo(service.port), { method: 'POST', bodyless: false })
    await until(() => attempt.isOpened)
    const block = Buffer.alloc(64 * 1024)
    let sent = 0
    for (let turn = 0; turn < 300; turn++) {
      for (; sent - attempt.drained < WINDOW_BYTES; sent += block.length) attempt.stream.sendData(block, 0, block.length)
      await new Promise(resolve => setImmediate(resolve))
    }
    assert.ok(sent < 32 << 20 && attempt.drained < sent)
    service.sockets[0]!.resume()
    await until(() => attempt.drained === sent)
    attempt.stream.cancel()
    await until(() => service.open() === 0)
  })

  it('that is not complete when the answer is: the answer counts, the connection does not', async () => {
    const service = await openService(answering('HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno'))
    const pool = poolTo(service.port)
    const attempt = new Attempt(pool, { method: 'POST', bodyless: false, fields: ['content-length', '100'] })
    await until(() => attempt.isOpened)
    attempt.send('half')
    await attempt.over()
    assert.deepEqual([attempt.status, attempt.body, attempt.failure], [413, 'no', null])
    attempt.send('late')
    attempt.stream.sendEnd([])
    attempt.stream.cancel()
    await new Attempt(pool).over()
    assert.equal(service.sockets.length, 2)
  })

  for (const [title, body] of [
    ['longer', 'abc'],
    ['shorter', 'a'],
  ] as const) {
    it(`that is ${title} than its length breaks the connection`, async () => {
      const service = await recordingService(() => {})
      const attempt = new Attempt(poolTo(service.port), { method: 'POST', bodyless: false, fields: ['content-length', '2'] })
      await until(() => attempt.isOpened)
      attempt.send(body)
      attempt.stream.sendEnd([])
      await attempt.over()
      assert.deepEqual([attempt.failure?.code, attempt.failure?.again], ['UPSTREAM_BROKEN', 'no'])
      assert.doesNotMatch(service.texts[0]!, /abc/)
    })
  }
})

describe('a tunnel', () => {
  const SWITCH = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
  it('bytes go both ways, and each direction ends by itself', async () => {
    const service = await recordingService((socket, text) => {
      if (text.endsWith('\r\n\r\n')) socket.write(`${SWITCH}hello`)
      if (text.endsWith('bye')) socket.write('still here')
    })
    const pool = poolTo(service.port)
    const attempt = new Attempt(pool, { upgrade: 'websocket', bodyless: false })
    await until(() => attempt.body === 'hello')
    assert.deepEqual([attempt.status, attempt.end], [101, 'later'])
    const ended = new Promise(resolve => service.sockets[0]!.on('end', resolve))
    attempt.send('bye')
    attempt.stream.sendEnd([])
    await ended
    await until(() => attempt.body === 'hellostill here')
    assert.equal(attempt.trailers, null)
    service.sockets[0]!.end('!')
    await attempt.over()
    assert.deepEqual([attempt.body, attempt.trailers, attempt.failure], ['hellostill here!', [], null])
    await until(() => service.open() === 0 && pool.load === 0)
  })
  it('the service may end first', async () => {
    const service = await openService(socket => socket.once('data', () => socket.end(SWITCH)))
    const attempt = new Attempt(poolTo(service.port), { upgrade: 'websocket', bodyless: false })
    await until(() => attempt.trailers !== null)
    let got = ''
    service.sockets[0]!.on('data', chunk => {
      got += chunk
    })
    attempt.send('last words')
    attempt.stream.sendEnd([])
    await until(() => got === 'last words' && service.open() === 0)
  })
})

describe('connections', () => {
  it('are kept and used again, the youngest first', async () => {
    const service = await openService(answering(OK))
    const pool = poolTo(service.port)
    const three = [new Attempt(pool), new Attempt(pool), new Attempt(pool)]
    assert.equal(pool.load, 3)
    for (const attempt of three) await attempt.over()
    assert.deepEqual([service.sockets.length, pool.load], [3, 0])
    for (let count = 0; count < 20; count++) {
      const attempt = new Attempt(pool)
      assert.equal(attempt.stream.isOpen, true)
      await attempt.over()
      assert.equal(attempt.isOpened, false)
    }
    assert.equal(service.sockets.length, 3)
  })

  it('beyond maxConnections wait for one that is free', async () => {
    const service = await openService(answering(OK))
    const pool = poolTo(service.port, { maxConnections: 2 })
    const many = Array.from({ length: 50 }, () => new Attempt(pool))
    assert.equal(pool.load, 50)
    for (const attempt of many) assert.equal((await attempt.over()).body, 'ok')
    assert.deepEqual([service.sockets.length, pool.load], [2, 0])
  })

  it('that are waited for too long are a failure `unsent`', async () => {
    const service = await openService(socket => socket.resume())
    const pool = poolTo(service.port, { maxConnections: 1 })
    const first = new Attempt(pool)
    await until(() => first.isOpened)
    const second = new Attempt(pool, {}, 60)
    const third = new Attempt(pool, {}, 10_000)
    await second.over()
    assert.deepEqual([second.failure?.code, second.failure?.again], ['REQUEST_QUEUE_FULL', 'unsent'])
    first.stream.cancel()
    await until(() => third.isOpened)
    third.stream.cancel()
    assert.equal(pool.load, 0)
    await until(() => service.open() === 0)
  })

  it('the line has an end', async () => {
    const service = await openService(socket => socket.resume())
    const pool = poolTo(service.port, { maxConnections: 1 })
    const many = Array.from({ length: 1030 }, () => new Attempt(pool))
    await many.at(-1)!.over()
    assert.deepEqual([many.at(-1)!.failure?.code, many.at(-1)!.failure?.again], ['REQUEST_QUEUE_FULL', 'unsent'])
    for (const attempt of many) attempt.stream.cancel()
    assert.equal(pool.load, 0)
  })

  it('that are refused fail with the system’s words', async () => {
    const pool = poolTo(await freePort())
    const attempts = [new Attempt(pool), new Attempt(pool)]
    for (const attempt of attempts) {
      await attempt.over()
      assert.deepEqual([attempt.failure?.code, attempt.failure?.again], ['UPSTREAM_UNREACHABLE', 'unsent'])
      assert.match(attempt.failure!.message, /ECONNREFUSED 127\.0\.0\.1:/)
    }
    assert.equal(pool.load, 0)
  })

  it('over a unix socket are connections too', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'guard-http1-'))
    const path = join(directory, 'service.sock')
    const server = createServer({ allowHalfOpen: true }, answering(OK)).listen(path)
    await until(() => server.listening)
    const pool = poolTo({ socket: path })
    assert.equal((await new Attempt(pool).over()).body, 'ok')
    assert.equal((await new Attempt(pool).over()).body, 'ok')
    pool.retire()
    server.close()
    rmSync(directory, { recursive: true })
    const missing = await new Attempt(poolTo({ socket: path })).over()
    assert.match(missing.failure!.message, /ENOENT/)
  })

  for (const [title, act] of [
    ['an end', (socket: Socket) => socket.end()],
    ['a byte', (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison')],
    ['a reset', (socket: Socket) => socket.resetAndDestroy()],
  ] as const) {
    it(`a kept one on which ${title} arrives is dropped at once`, async () => {
      const service = await openService(answering(OK))
      const pool = poolTo(service.port)
      await new Attempt(pool).over()
      act(service.sockets[0]!)
      if (title === 'a reset') await new Promise(resolve => setTimeout(resolve, 50)).then(() => new Promise(setImmediate))
      else await until(() => service.open() === 0)
      const next = new Attempt(pool)
      assert.equal(next.stream.isOpen, false)
      assert.equal((await next.over()).body, 'ok')
    })
  }

  it('a kept one that is closed under a request: `idempotent`, unless an answer had begun', async () => {
    for (const [begun, again] of [
      ['', 'idempotent'],
      ['HTTP', 'no'],
    ] as const) {
      const service = await openService(socket => {
        let count = 0
        socket.on('data', () => {
          if (++count === 1) socket.write(OK)
          else socket.end(begun)
        })
      })
      const pool = poolTo(service.port)
      await new Attempt(pool).over()
      const second = await new Attempt(pool).over()
      assert.deepEqual([second.failure?.code, second.failure?.again, service.sockets.length], ['UPSTREAM_BROKEN', again, 1])
    }
  })

  it('without a request are closed after idleMs', async () => {
    const service = await openService(answering(OK))
    const pool = poolTo(service.port, { idleMs: 80 })
    await new Attempt(pool).over()
    assert.equal(service.open(), 1)
    await until(() => service.open() === 0)
  })

  it('of a retired pool close when they are idle, at once or later', async () => {
    const service = await openService(answering(OK))
    const slow = await openService(socket => socket.on('data', () => setTimeout(() => socket.write(OK), 80)))
    const idle = poolTo(service.port)
    await new Attempt(idle).over()
    idle.retire()
    await until(() => service.open() === 0)
    const busy = poolTo(slow.port)
    const attempt = new Attempt(busy)
    await until(() => attempt.isOpened)
    busy.retire()
    assert.equal((await attempt.over()).body, 'ok')
    await until(() => slow.open() === 0)
  })
})

describe('an attempt that is given up', () => {
  it('reports nothing more, and leaves nothing behind, wherever it was', async () => {
    const service = await openService(socket =>
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegun')),
    )
    const pool = poolTo(service.port, { maxConnections: 1 })
    const connecting = new Attempt(pool)
    connecting.stream.cancel()
    connecting.stream.cancel()
    const begun = new Attempt(pool)
    await until(() => begun.body === 'begun')
    const waiting = new Attempt(pool)
    waiting.stream.cancel()
    begun.stream.cancel()
    begun.send('x')
    begun.stream.sendEnd([])
    begun.stream.grant(5)
    assert.equal(pool.load, 0)
    await until(() => service.open() === 0)
    for (const attempt of [connecting, waiting]) assert.deepEqual([attempt.isOpened, attempt.failure, attempt.status], [false, null, 0])
    assert.deepEqual([begun.failure, begun.trailers], [null, null])
  })
})
