// gRPC rule 18 (proxy.md D): what never left is sent again, what was refused once more, and nothing else unless the route says so.
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, it } from 'node:test'
import { message } from '../h2-frames.js'
import { closedPort, type Origin, rawOrigin } from '../origins.js'
import { endpoint, startTestProxy, type TestProxy, type TestRoute, until } from '../start-proxy.js'
import { answer, begin, rawCall, trailersOnly } from './calls.js'
import type { Field } from './hpack-reader.js'
import { openWire, RST, type Wire, type WireService, type WireStream, wireService } from './wire.js'

const REPLAY_BYTES = 64 * 1024

describe('rule 18: retry', () => {
  let ends: (() => unknown)[] = []
  const shared = { proxy: null as unknown as TestProxy }
  before(async () => {
    shared.proxy = await startTestProxy([])
  })
  after(() => shared.proxy.stop())
  afterEach(async () => {
    for (const end of ends.reverse()) await end()
    ends = []
  })

  /** Services that act by the number of the try (1-based, over all of them); the proxy knows them in this order. */
  const start = async (
    act: (stream: WireStream, nth: number, service: number) => void,
    options: Partial<TestRoute> & { services?: number; more?: number[] } = {},
  ): Promise<{ wire: Wire; tries: number[]; services: WireService[] }> => {
    const tries: number[] = []
    const { services: count = 2, more = [], ...route } = options
    const services: WireService[] = []
    for (let name = 0; name < count; name++) {
      const service = await wireService({ ended: stream => act(stream, tries.push(name), name) })
      services.push(service)
      ends.push(service.close)
    }
    const { proxy } = shared
    const endpoints = [...more, ...services.map(({ port }) => port)].map(port => endpoint(port))
    await proxy.setTable([{ prefix: '/s/', protocol: 'h2c', holdMs: 1000, endpoints, ...route }])
    const wire = await openWire(proxy.port)
    ends.push(() => wire.close())
    return { wire, tries, services }
  }
  const call = (wire: Wire, more: Field[] = [], body?: Buffer) => rawCall(wire, '/s/x.Y/Z', body === undefined ? { more } : { more, body })

  it('(a) a refused connection: the other instance is asked, for as long as there is one', async () => {
    const { wire, tries } = await start(stream => answer(stream), { services: 1, more: [await closedPort(), await closedPort()] })
    for (let count = 0; count < 6; count++) assert.equal((await call(wire)).grpcStatus, '0')
    assert.equal(tries.length, 6)
  })

  it('(a) a connection that is closed before it speaks: the same', async () => {
    const shut: Origin = await rawOrigin(socket => socket.destroy())
    ends.push(shut.close)
    const { wire, tries } = await start(stream => answer(stream), { services: 1, more: [shut.port] })
    for (let count = 0; count < 4; count++) assert.equal((await call(wire)).grpcStatus, '0')
    assert.equal(tries.length, 4)
  })

  it('(a) GOAWAY below the call, as often as it comes', async () => {
    const { wire, tries } = await start((stream, nth) => {
      if (nth > 4) return answer(stream)
      stream.done = true
      stream.wire.goaway(0, RST.NO_ERROR)
    })
    assert.equal((await call(wire)).grpcStatus, '0')
    assert.equal(tries.length, 5)
  })

  it('(b) REFUSED_STREAM: once, at the other instance', async () => {
    const { wire, tries } = await start((stream, nth) => (nth === 1 ? stream.wire.reset(stream.id, RST.REFUSED) : answer(stream)))
    assert.equal((await call(wire)).grpcStatus, '0')
    assert.deepEqual(tries.toSorted(), [0, 1])
  })

  it('(b) the body comes again whole, up to the replay buffer; beyond it there is no second try', async () => {
    const { wire, tries, services } = await start((stream, nth) =>
      nth % 2 === 1 && stream.field('x-once') === undefined ? stream.wire.reset(stream.id, RST.REFUSED) : answer(stream),
    )
    const small = message('s'.repeat(REPLAY_BYTES - 1000))
    assert.equal((await call(wire, [], small)).grpcStatus, '0')
    for (const seen of services.flatMap(service => service.calls)) assert.ok(seen.body.equals(small))
    const large = message('l'.repeat(4 * REPLAY_BYTES))
    assert.equal((await call(wire, [], large)).grpcStatus, '14')
    assert.equal(tries.length, 3)
  })

  // Once only the requests of routes with `retries` counted: elsewhere no more than ten repeats a second were left, and 50 of these failed.
  it('(b) one refusal in eight calls is within the budget of a route that says nothing of retries', async () => {
    let asked = 0
    const { wire, tries } = await start((stream, _nth, service) =>
      service === 0 && ++asked % 4 === 0 ? stream.wire.reset(stream.id, RST.REFUSED) : answer(stream),
    )
    const answers: (string | undefined)[] = []
    for (let round = 0; round < 4; round++) {
      const streams = await Promise.all(Array.from({ length: 120 }, () => call(wire)))
      answers.push(...streams.map(stream => stream.grpcStatus))
    }
    assert.deepEqual([answers.length, answers.filter(status => status !== '0')], [480, []])
    assert.ok(tries.length >= 480 + 55, `${tries.length} tries`)
  })

  for (const [title, act, status] of [
    ['RST INTERNAL', (stream: WireStream) => stream.wire.reset(stream.id, RST.INTERNAL), '13'],
    ['a lost connection', (stream: WireStream) => stream.wire.kill(), '14'],
    ['UNAVAILABLE from the service', (stream: WireStream) => trailersOnly(stream, 14), '14'],
    [
      'REFUSED_STREAM after the head',
      (stream: WireStream) => {
        begin(stream)
        stream.wire.reset(stream.id, RST.REFUSED)
      },
      '14',
    ],
  ] as const) {
    it(`(c) ${title}: no second try`, async () => {
      const { wire, tries } = await start(act)
      assert.equal((await call(wire)).grpcStatus, status)
      assert.equal(tries.length, 1)
    })
  }

  it('configured statuses are asked for again, as often as the route says, elsewhere', async () => {
    const retries = { count: 2, statuses: [], grpcStatuses: [14] }
    const first = await start((stream, nth) => (nth < 3 ? trailersOnly(stream, 14) : answer(stream)), { retries })
    assert.equal((await call(first.wire)).grpcStatus, '0')
    assert.equal(first.tries.length, 3)
    assert.notEqual(first.tries[0], first.tries[1])
    const second = await start(stream => trailersOnly(stream, 14, [['x-last', 'yes']]), { retries })
    const told = await call(second.wire)
    assert.deepEqual([told.grpcStatus, told.field('x-last'), second.tries.length], ['14', 'yes', 3])
    const other = await start(stream => trailersOnly(stream, 8), { retries })
    assert.equal((await call(other.wire)).grpcStatus, '8')
    assert.equal(other.tries.length, 1)
  })

  it('grpc-retry-pushback-ms is obeyed: a number is waited for, a negative one or nonsense forbids', async () => {
    const retries = { count: 2, statuses: [], grpcStatuses: [14] }
    for (const [pushback, tries] of [
      ['200', 2],
      ['-1', 1],
      ['soon', 1],
    ] as const) {
      const rig = await start(
        (stream, nth) => (nth === 1 ? trailersOnly(stream, 14, [['grpc-retry-pushback-ms', pushback]]) : answer(stream)),
        {
          retries,
        },
      )
      const begunAt = performance.now()
      const stream = await call(rig.wire)
      const tookMs = performance.now() - begunAt
      assert.deepEqual([stream.grpcStatus, rig.tries.length], [tries === 2 ? '0' : '14', tries], pushback)
      if (tries === 2) assert.ok(tookMs >= 198, `${tookMs} ms`)
    }
  })

  it('grpc-previous-rpc-attempts is the client’s: neither added nor changed', async () => {
    const { wire, services, tries } = await start((stream, nth) => (nth === 1 ? stream.wire.goaway(0, RST.NO_ERROR) : answer(stream)))
    assert.equal((await call(wire)).grpcStatus, '0')
    assert.equal((await call(wire, [['grpc-previous-rpc-attempts', '2']])).grpcStatus, '0')
    const seen = services.flatMap(service => service.calls).map(stream => stream.field('grpc-previous-rpc-attempts'))
    assert.deepEqual([tries.length, seen.filter(value => value !== undefined)], [3, ['2']])
  })

  it('a deadline ends the trying', async () => {
    const { wire } = await start(() => {}, { services: 0, more: [await closedPort()], holdMs: 30_000 })
    const begunAt = performance.now()
    assert.equal((await call(wire, [['grpc-timeout', '250m']])).grpcStatus, '4')
    assert.ok(performance.now() - begunAt < 15_000, 'half of its hold')
    await until(() => wire.goaways.length === 0)
  })
})
