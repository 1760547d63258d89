// What a client may ask for: how often, how much at once, on how many connections, and how many requests on each.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request as httpRequest } from 'node:http'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { type Client, h2cClient, h2cRequest, http1Client, PROTOCOLS, rawExchange, statusOf } from '../clients.js'
import { isOver } from '../grpc/calls.js'
import type { Field } from '../grpc/hpack-reader.js'
import { openWire, type WireStream } from '../grpc/wire.js'
import { echoClient, echoServer, unary } from '../grpc-echo.js'
import { TYPE } from '../h2-frames.js'
import { fairClock } from '../machine.js'
import { endpoint, startTestProxy, type TestProxy, until } from '../start-proxy.js'
import { askMany, closeAll, codeOf, GRPC, grpcMessage, type NamedService, namedService } from './services.js'

const from = (client: string) => ({ 'x-forwarded-for': client })

describe('rate limit', () => {
  let web: NamedService
  let model: NamedService
  before(async () => {
    web = await namedService('web')
    model = await namedService('model', { protocol: 'h2c' })
    model.reply = () => ({ grpc: 0 })
  })
  after(() => closeAll(web, model))

  for (const protocol of PROTOCOLS) {
    it(`${protocol.name}: burst at once, then 429 with Retry-After that is true; each client for itself`, async () => {
      const rateLimit = { requests: 2, perMs: 2000, burst: 3 }
      const proxy = await startTestProxy(
        [
          { prefix: '/w/', rateLimit, endpoints: [web.endpoint] },
          { prefix: '/free/', endpoints: [web.endpoint] },
        ],
        { trustedHops: 1 },
      )
      const client = protocol.open(proxy.port)
      const ask = (who: string, path = '/w/x') => client.request({ path, headers: from(who) })
      for (const who of ['10.0.0.1', '10.0.0.2', '2001:db8::1']) {
        const statuses = []
        for (let count = 0; count < 4; count++) statuses.push((await ask(who)).status)
        assert.deepEqual(statuses, [200, 200, 200, 429], who)
      }
      const refused = await ask('10.0.0.1')
      assert.deepEqual([refused.status, refused.headers['retry-after'], codeOf(refused)], [429, '1', 'RATE_LIMITED'])
      assert.equal((await ask('2001:db8::9')).status, 429, 'the same /64')
      assert.equal((await ask('10.0.0.1', '/free/x')).status, 200, 'another route')
      const passedMs = fairClock(process.pid, proxy.status().workers[0]!.pid)
      while ((await ask('10.0.0.1')).status === 429) await new Promise(resolve => setTimeout(resolve, 20))
      assert.ok(passedMs() < 1200, `Retry-After said 1 s, it took ${passedMs()} ms`)
      client.close()
      await proxy.stop()
    })
  }

  it('gRPC: 8 as one HEADERS frame; a table that changes nothing here does not fill the buckets', async () => {
    const routes = [
      { prefix: '/g/', protocol: 'h2c' as const, rateLimit: { requests: 1, perMs: 60_000, burst: 1 }, endpoints: [model.endpoint] },
    ]
    const proxy = await startTestProxy(routes)
    const client = h2cClient(proxy.port)
    const ask = () => client.request({ path: '/g/a.B/C', headers: GRPC, body: Buffer.alloc(5) })
    assert.equal((await ask()).headers['grpc-status'], '0')
    await proxy.setTable(routes)
    const refused = await ask()
    assert.deepEqual([refused.status, refused.headers['grpc-status'], refused.headOnly], [200, '8', true])
    client.close()
    await proxy.stop()
  })
})

describe('body limit', () => {
  const LIMIT = 100_000
  let web: NamedService
  let proxy: TestProxy
  let clients: Client[]
  let echo: Awaited<ReturnType<typeof echoServer>>
  before(async () => {
    web = await namedService('web')
    web.reply = ({ body }) => ({ body: String(body.length) })
    echo = await echoServer()
    proxy = await startTestProxy([
      { prefix: '/w/', maxBodyBytes: LIMIT, endpoints: [web.endpoint] },
      { prefix: '/g/', protocol: 'h2c', maxBodyBytes: LIMIT, endpoints: [endpoint(echo.port)] },
    ])
    clients = PROTOCOLS.map(protocol => protocol.open(proxy.port))
  })
  after(async () => {
    await closeAll(...clients)
    await proxy.stop()
    echo.stop()
    await web.close()
  })

  for (const [title, headers] of [
    ['by its length', (size: number) => ({ 'content-length': String(size) })],
    ['while it comes', () => ({ 'transfer-encoding': 'chunked' })],
  ] as const) {
    it(`${title}: 413 for one byte more, and the connection goes on`, async () => {
      for (const client of clients) {
        const fields = (size: number) => (title === 'while it comes' && client.name === 'h2c' ? {} : headers(size))
        const ask = (size: number) => client.request({ path: '/w/x', method: 'POST', headers: fields(size), body: Buffer.alloc(size, 'x') })
        const just = await ask(LIMIT)
        assert.deepEqual([just.status, just.body], [200, String(LIMIT)], client.name)
        web.asked.length = 0
        const over = await ask(LIMIT + 1)
        assert.deepEqual([over.status, codeOf(over)], [413, 'REQUEST_BODY_TOO_LARGE'], client.name)
        assert.equal(web.asked.length, 0, 'no service got it whole')
        assert.equal((await ask(5)).status, 200)
      }
    })
  }

  it('far more than the limit, never ending: the answer comes all the same, and is not lost to a reset', async () => {
    const chunk = `10000\r\n${'x'.repeat(0x10000)}\r\n`
    const text = await rawExchange(
      proxy.port,
      `POST /w/x HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n${chunk.repeat(20)}`,
      got => got.includes('REQUEST_BODY_TOO_LARGE'),
    )
    assert.equal(statusOf(text), 413)
    const session = connectHttp2(`http://127.0.0.1:${proxy.port}`)
    const answer = await h2cRequest(session, { path: '/w/x', body: Buffer.alloc(3_000_000) })
    assert.deepEqual([answer.status, codeOf(answer)], [413, 'REQUEST_BODY_TOO_LARGE'])
    session.destroy()
  })

  it('a client that cannot take the 413 yet and sends on gets it all the same, later', async () => {
    const session = connectHttp2(`http://127.0.0.1:${proxy.port}`, { settings: { initialWindowSize: 0 } })
    const stream = session.request({ ':method': 'POST', ':path': '/w/x' })
    const errors: unknown[] = []
    let text = ''
    stream.on('error', error => errors.push(error))
    stream.on('data', chunk => {
      text += chunk
    })
    stream.write(Buffer.alloc(LIMIT + 1))
    const [headers] = (await once(stream, 'response')) as [Record<string, number>]
    assert.equal(headers[':status'], 413)
    await new Promise(resolve => stream.write(Buffer.alloc(LIMIT), resolve))
    await new Promise(resolve => session.ping(resolve))
    session.settings({ initialWindowSize: 65_535 })
    await until(() => text.includes('REQUEST_BODY_TOO_LARGE') || errors.length > 0)
    assert.deepEqual(errors, [])
    session.destroy()
  })

  it('gRPC: each message is limited, not the call: a stream of many may be far longer', async () => {
    const client = echoClient(proxy.port, '/g/')
    assert.equal((await unary(client, 'unary', Buffer.alloc(LIMIT))).code, 0, 'just as much')
    assert.deepEqual((await unary(client, 'unary', Buffer.alloc(LIMIT + 1))).code, 8, 'one byte more')
    const chat = client.chat()
    let came = 0
    chat.on('data', (part: Buffer) => {
      came += part.length
    })
    const status = once(chat, 'status')
    for (let count = 0; count < 10; count++) chat.write(Buffer.alloc(LIMIT))
    chat.end()
    assert.equal(((await status)[0] as { code: number }).code, 0)
    assert.equal(came, 10 * LIMIT)
    client.close()
  })

  it('gRPC: a long message after short ones ends the begun answer with 8 in its trailers', async () => {
    const client = echoClient(proxy.port, '/g/')
    const chat = client.chat()
    const status = new Promise<{ code: number; details: string }>(resolve => chat.on('status', resolve))
    chat.on('error', () => {})
    chat.write(Buffer.from('short'))
    assert.equal(String((await once(chat, 'data'))[0]), 'short')
    chat.write(Buffer.alloc(LIMIT + 1))
    const { code, details } = await status
    assert.equal(code, 8)
    assert.match(details, /a message of 100001 bytes/)
    await until(() => echo.events.includes('cancelled chat'))
    client.close()
  })

  it('gRPC: a message is refused by its prefix, before its bytes come', async () => {
    const session = connectHttp2(`http://127.0.0.1:${proxy.port}`)
    const stream = session.request({ ':method': 'POST', ':path': '/g/test.Echo/Unary', ...GRPC })
    stream.on('error', () => {})
    stream.write(grpcMessage(LIMIT + 1).subarray(0, 5))
    const [headers] = (await once(stream, 'response')) as [Record<string, string>]
    assert.equal(headers['grpc-status'], '8')
    session.destroy()
  })
})

describe('max_connections_per_client', () => {
  it('one more than the limit is closed without a word, and there is room again when one has gone', async () => {
    const web = await namedService('web')
    const proxy = await startTestProxy([{ prefix: '/w/', endpoints: [web.endpoint] }], { maxConnectionsPerClient: 3 })
    const open = async (): Promise<Socket> => {
      const socket = connect(proxy.port, '127.0.0.1')
      socket.on('error', () => {})
      await once(socket, 'connect')
      return socket
    }
    const ask = async (socket: Socket) => {
      socket.write('GET /w/x HTTP/1.1\r\nhost: h\r\n\r\n')
      return new Promise<number>(resolve => {
        if (socket.destroyed) resolve(0)
        socket.once('data', bytes => resolve(statusOf(String(bytes))))
        socket.once('close', () => resolve(0))
      })
    }
    const sockets = [await open(), await open(), await open()]
    for (const socket of sockets) assert.equal(await ask(socket), 200)
    assert.equal(await ask(await open()), 0)
    for (const socket of sockets) assert.equal(await ask(socket), 200, 'the others do not notice')
    sockets[0]!.destroy()
    let status = 0
    const end = performance.now() + 15_000
    while (status !== 200 && performance.now() < end) {
      const socket = await open()
      status = await ask(socket)
      if (status === 200) sockets.push(socket)
    }
    assert.equal(status, 200)
    assert.equal(await ask(await open()), 0)
    for (const socket of sockets) socket.destroy()
    await proxy.stop()
    await web.close()
  })
})

describe('max_requests_per_connection', () => {
  let web: NamedService
  let proxy: TestProxy
  before(async () => {
    web = await namedService('web')
    proxy = await startTestProxy([{ prefix: '/w/', endpoints: [web.endpoint] }], { maxRequestsPerConnection: 5 })
  })
  after(async () => {
    await proxy.stop()
    await web.close()
  })

  it('HTTP/1: the last answer says Connection: close, and the next request finds another connection', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const ask = async () => {
      const request = httpRequest({ port: proxy.port, host: '127.0.0.1', path: '/w/x', agent }).end()
      const [answer] = await once(request, 'response')
      answer.resume()
      await once(answer, 'end')
      return answer.headers.connection
    }
    const said: (string | undefined)[] = []
    for (let count = 0; count < 12; count++) said.push(await ask())
    assert.deepEqual(
      said.map(word => word === 'close'),
      Array.from({ length: 12 }, (_, at) => at % 5 === 4),
    )
    agent.destroy()
  })

  it('HTTP/2: a GOAWAY for nobody first; what runs is answered, and the connection closes', async () => {
    const session = connectHttp2(`http://127.0.0.1:${proxy.port}`)
    session.on('error', () => {})
    const goaways: [number, number | undefined][] = []
    session.on('goaway', (code, last) => goaways.push([code, last]))
    const closed = once(session, 'close')
    const answers = await Promise.all(Array.from({ length: 5 }, () => h2cRequest(session, { path: '/w/x' })))
    for (const answer of answers) assert.equal(answer.status, 200)
    await closed
    assert.equal(goaways[0]![0], 0)
    assert.ok(goaways.length > 0 && goaways.every(([code]) => code === 0))
  })

  it('HTTP/2: a request that crosses the GOAWAY is answered', async () => {
    let late: WireStream | null = null
    const wire = await openWire(proxy.port, {
      frame: ({ type }) => {
        if (type === TYPE.GOAWAY && late === null) late = wire.open(GET_X, 'end')
      },
    })
    const first = Array.from({ length: 5 }, () => wire.open(GET_X, 'end'))
    await until(() => late !== null)
    for (const stream of [...first, late!]) {
      await isOver(stream)
      assert.deepEqual([stream.field(':status'), stream.resetCode], ['200', null])
    }
    await until(() => wire.closed)
    assert.ok(wire.goaways.length === 2, JSON.stringify(wire.goaways))
  })

  it('a client that keeps to GOAWAY loses no request of 500, and none comes twice', async () => {
    web.asked.length = 0
    const statuses = await withNewSessions(proxy.port, 500)
    assert.equal(web.asked.length, 500)
    assert.deepEqual(
      statuses.filter(status => status !== 200),
      [],
    )
    assert.equal(statuses.length, 500)
  })

  it('every limit of a connection starts with the connection: a fresh one has all of its requests', async () => {
    for (let round = 0; round < 3; round++) {
      const client = http1Client(proxy.port)
      assert.equal((await askMany(client, '/w/x', 7)).length, 7)
    }
  })
})

const GET_X: Field[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/w/x'],
  [':authority', 'suite.test'],
]
const REFUSED = -7

/** nghttp2 refuses by itself what was to be sent while a GOAWAY was being read; that has never left the client. */
async function ask(session: ClientHttp2Session): Promise<number> {
  try {
    return (await h2cRequest(session, { path: '/w/x' })).status
  } catch (error) {
    return /REFUSED_STREAM/.test(String(error)) ? REFUSED : -1
  }
}

/** Asks over one session at a time, a new one when the old one is told goodbye, four requests at once. */
async function withNewSessions(port: number, count: number): Promise<number[]> {
  const statuses: number[] = []
  let session: ClientHttp2Session | null = null
  const current = () => {
    if (session !== null && !session.closed && !session.destroyed) return session
    const made = connectHttp2(`http://127.0.0.1:${port}`)
    made.on('error', () => {})
    made.on('goaway', () => {
      if (session === made) session = null
    })
    session = made
    return made
  }
  let begun = 0
  await Promise.all(
    Array.from({ length: 4 }, async () => {
      while (begun++ < count) {
        let status = REFUSED
        while (status === REFUSED) status = await ask(current())
        statuses.push(status)
      }
    }),
  )
  return statuses
}
