// The failure matrix (proxy.md 2.3): what three gRPC clients are told when the service, its connection or the way to it breaks.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { type EchoClient, echoClient, unary } from '../grpc-echo.js'
import { message } from '../h2-frames.js'
import { fairClock } from '../machine.js'
import { closedPort } from '../origins.js'
import { endpoint, startTestProxy, type TestProxy, until } from '../start-proxy.js'
import { afterRead, answer, begin, GRPC_HEAD, grpcRequest, rawCall } from './calls.js'
import { Grpcio, noGrpcio } from './grpcio.js'
import { openWire, RST, type Wire, type WireService, type WireStream, wireService } from './wire.js'

interface Row {
  title: string
  /** Where the call goes; default: the service that does what the row says. */
  prefix?: string
  /** What the service does with the n-th try of a call (1-based) once its request is complete. */
  service?(stream: WireStream, nth: number): void
  status: number
  /** The frames a raw client sees. */
  shape: 'HEADERS+END' | 'HEADERS DATA HEADERS+END'
  /** How often the service is asked per call. */
  tries: number
  details?: RegExp
}

const HEAD_ONLY = 'HEADERS+END'
const TRAILERS = 'HEADERS DATA HEADERS+END'
const reset = (code: number) => (stream: WireStream) => stream.wire.reset(stream.id, code)
const breakAfterData = (code: number) => (stream: WireStream) => {
  begin(stream)
  stream.wire.reset(stream.id, code)
}

const ROWS: Row[] = [
  {
    title: 'the service refuses the connection',
    prefix: '/down/',
    status: 14,
    shape: HEAD_ONLY,
    tries: 0,
    details: /^UPSTREAM_UNREACHABLE/,
  },
  { title: 'no route has the prefix', prefix: '/nowhere/', status: 12, shape: HEAD_ONLY, tries: 0, details: /^ROUTE_UNKNOWN/ },
  {
    title: 'REFUSED_STREAM before the head: the other instance is asked',
    service: (stream, nth) => (nth === 1 ? stream.wire.reset(stream.id, RST.REFUSED) : answer(stream)),
    status: 0,
    shape: TRAILERS,
    tries: 2,
  },
  { title: 'REFUSED_STREAM before the head from both', service: reset(RST.REFUSED), status: 14, shape: HEAD_ONLY, tries: 2 },
  { title: 'RST CANCEL before the head', service: reset(RST.CANCEL), status: 1, shape: HEAD_ONLY, tries: 1 },
  { title: 'RST INTERNAL_ERROR before the head', service: reset(RST.INTERNAL), status: 13, shape: HEAD_ONLY, tries: 1 },
  { title: 'RST ENHANCE_YOUR_CALM before the head', service: reset(RST.CALM), status: 8, shape: HEAD_ONLY, tries: 1 },
  { title: 'RST NO_ERROR before the head', service: reset(RST.NO_ERROR), status: 13, shape: HEAD_ONLY, tries: 1 },
  {
    title: 'the connection is killed before the head, after the request was sent',
    service: stream => stream.wire.kill(),
    status: 14,
    shape: HEAD_ONLY,
    tries: 1,
  },
  {
    title: 'GOAWAY with a smaller last stream id, then the connection closes',
    service: (stream, nth) => {
      if (nth > 1) return answer(stream)
      stream.wire.goaway(Math.max(stream.id - 2, 0), 0)
      stream.wire.close()
    },
    status: 0,
    shape: TRAILERS,
    tries: 2,
  },
  { title: 'RST INTERNAL_ERROR after head and data', service: breakAfterData(RST.INTERNAL), status: 13, shape: TRAILERS, tries: 1 },
  { title: 'RST REFUSED_STREAM after data', service: breakAfterData(RST.REFUSED), status: 14, shape: TRAILERS, tries: 1 },
  { title: 'RST CANCEL after data', service: breakAfterData(RST.CANCEL), status: 1, shape: TRAILERS, tries: 1 },
  {
    title: 'the connection is killed in the middle of a message',
    service: ({ wire, id }) => {
      wire.headers(id, GRPC_HEAD, 'more')
      wire.data(id, message('a message that does not come whole').subarray(0, 12))
      void afterRead(wire, () => wire.kill())
    },
    status: 14,
    shape: TRAILERS,
    tries: 1,
  },
  {
    title: 'the service answers HTTP 503 text/plain',
    service: ({ wire, id }) => {
      wire.headers(
        id,
        [
          [':status', '503'],
          ['content-type', 'text/plain'],
          ['content-length', '4'],
        ],
        'more',
      )
      wire.data(id, Buffer.from('busy'), 'end')
    },
    status: 14,
    shape: HEAD_ONLY,
    tries: 1,
    details: /HTTP 503/,
  },
]

describe('the failure matrix', () => {
  let act: NonNullable<Row['service']> = () => {}
  let early = false
  let tries: number[] = []
  let services: WireService[]
  let proxy: TestProxy
  let wire: Wire
  let client: EchoClient
  let python: Grpcio | null = null

  before(async () => {
    const service = (name: number) =>
      wireService({
        ended: stream => act(stream, tries.push(name)),
        data: stream => {
          if (!early) return
          answer(stream, 'enough')
          stream.wire.reset(stream.id, RST.NO_ERROR)
        },
      })
    services = [await service(1), await service(2)]
    const h2c = { protocol: 'h2c' as const, holdMs: 0, timeoutMs: 10_000 }
    proxy = await startTestProxy([
      { prefix: '/s/', ...h2c, endpoints: services.map(each => endpoint(each.port)) },
      { prefix: '/down/', ...h2c, endpoints: [endpoint(await closedPort())] },
    ])
    wire = await openWire(proxy.port)
    client = echoClient(proxy.port, '/s/')
    if (noGrpcio === false) python = new Grpcio()
  })
  after(async () => {
    await python?.close()
    client.close()
    wire.close()
    await proxy.stop()
    for (const service of services) await service.close()
  })

  /** The calls so far, and what came of the resets at the services. */
  const calls = () => services.flatMap(service => service.calls)
  const cancelled = () => calls().filter(call => call.resetCode === RST.CANCEL).length

  const begun = (row: Row) => {
    act = row.service ?? (() => {})
    tries = []
    return row.prefix ?? '/s/'
  }
  const checkTries = (row: Row) => {
    assert.equal(tries.length, row.tries, `asked ${tries.length} times`)
    if (row.title.includes('REFUSED_STREAM before')) assert.deepEqual(tries.toSorted(), [1, 2], 'each instance once')
  }

  for (const row of ROWS) {
    it(`${row.title}: ${row.status} as ${row.shape} to raw frames`, async () => {
      const stream = await rawCall(wire, `${begun(row)}x.Y/Z`)
      assert.deepEqual([stream.shape, stream.grpcStatus], [row.shape, String(row.status)])
      assert.deepEqual(stream.head.slice(0, 1), [[':status', '200']])
      assert.equal(stream.field('content-type'), 'application/grpc')
      if (row.shape === HEAD_ONLY) assert.equal(stream.field('content-length'), undefined)
      if (row.details !== undefined) assert.match(decodeURIComponent(stream.field('grpc-message')!), row.details)
      checkTries(row)
    })

    it(`${row.title}: ${row.status} to grpc-js`, async () => {
      const prefix = begun(row)
      const own = prefix === '/s/' ? client : echoClient(proxy.port, prefix)
      const result = await unary(own, 'unary', Buffer.from('x'))
      if (own !== client) own.close()
      assert.equal(result.code, row.status, result.details)
      if (row.details !== undefined) assert.match(result.details, row.details)
      checkTries(row)
    })

    it(`${row.title}: ${row.status} to grpcio`, { skip: noGrpcio }, async () => {
      const result = await python!.call({ op: 'unary', port: proxy.port, path: `${begun(row)}x.Y/Z` })
      assert.equal(result.code, row.status, result.details)
      if (row.details !== undefined) assert.match(result.details, row.details)
      checkTries(row)
    })
  }

  describe('early trailers while the client still sends: the call is ok, RST NO_ERROR ends the rest', () => {
    before(() => {
      early = true
    })
    after(() => {
      early = false
    })
    it('to raw frames, and the next call on the connection is untouched', async () => {
      const stream = wire.open(grpcRequest('/s/x.Y/Z'), 'more')
      wire.data(stream.id, message('first'))
      await stream.over
      await until(() => stream.shape.includes('RST'))
      assert.deepEqual([stream.shape, stream.grpcStatus], ['HEADERS DATA HEADERS+END RST(0)', '0'])
      // What was on its way when the reset came is thrown away, and counted.
      wire.data(stream.id, message('late'))
      await wire.ping()
      assert.deepEqual([wire.goaways, wire.closed], [[], false])
      assert.equal((await rawCall(wire, '/s/x.Y/Z')).grpcStatus, '0')
    })
    it('to grpc-js', async () => {
      const reply = await new Promise<Buffer>((resolve, reject) => {
        const call = client.early(new grpc.Metadata(), (error, got) => (error ? reject(error) : resolve(got!)))
        call.on('error', () => {})
        call.write(Buffer.from('first'))
      })
      assert.equal(String(reply), 'enough')
    })
    it('to grpcio', { skip: noGrpcio }, async () => {
      const { code, details, replies } = await python!.call({ op: 'early', port: proxy.port, path: '/s/x.Y/Z' })
      assert.deepEqual([code, String(replies[0])], [0, 'enough'], details)
    })
  })

  describe('a client cancel reaches the service as CANCEL', () => {
    const whenCalled = async (cancel: () => void) => {
      const [before, known] = [cancelled(), calls().length]
      await until(() => calls().length > known)
      cancel()
      await until(() => cancelled() === before + 1)
    }
    it('from raw frames, whatever code the client used', async () => {
      act = () => {}
      for (const code of [RST.CANCEL, RST.NO_ERROR, RST.INTERNAL]) {
        const seen = whenCalled(() => wire.reset(stream.id, code))
        const stream = wire.open(grpcRequest('/s/x.Y/Z'), 'end')
        await seen
      }
    })
    it('from grpc-js', async () => {
      const seen = whenCalled(() => call.cancel())
      const call = client.expand(Buffer.from('x'))
      call.on('error', () => {})
      await seen
    })
    it('from grpcio', { skip: noGrpcio }, async () => {
      const before = cancelled()
      const { code } = await python!.call({ op: 'cancel', port: proxy.port, path: '/s/x.Y/Z', afterMs: 1000 })
      assert.equal(code, 1)
      await until(() => cancelled() === before + 1)
    })
  })

  describe('a deadline of 600 ms and a silent service: 4 at 600 ms and CANCEL to the service', () => {
    const timed = async (ask: () => Promise<number>) => {
      act = () => {}
      const before = cancelled()
      const begunAt = performance.now()
      const tookFairly = fairClock(process.pid, proxy.status().workers[0]!.pid, ...(python === null ? [] : [python.pid]))
      assert.equal(await ask(), 4)
      const [tookMs, tookFairlyMs] = [performance.now() - begunAt, tookFairly()]
      assert.ok(tookMs >= 599 && tookFairlyMs < 1200, `${tookMs} ms, ${tookFairlyMs} ms of it its own`)
      await until(() => cancelled() === before + 1)
    }
    it('to raw frames: one HEADERS frame', () =>
      timed(async () => {
        const stream = await rawCall(wire, '/s/x.Y/Z', { more: [['grpc-timeout', '600m']] })
        assert.equal(stream.shape, HEAD_ONLY)
        return Number(stream.grpcStatus)
      }))
    it('to grpc-js', () => timed(async () => (await unary(client, 'unary', Buffer.from('x'), { deadlineMs: 600 })).code))
    it('to grpcio', { skip: noGrpcio }, () =>
      timed(async () => (await python!.call({ op: 'unary', port: proxy.port, path: '/s/x.Y/Z', timeoutMs: 600 })).code),
    )
  })
})
