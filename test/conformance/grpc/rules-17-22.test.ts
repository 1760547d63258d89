// gRPC rules 17, 19, 21 and 22 (proxy.md D): time, and connections that end.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { parseGrpcTimeout } from '../../../src/core/grpc.js'
import { message } from '../h2-frames.js'
import { fairClock } from '../machine.js'
import { endpoint, until } from '../start-proxy.js'
import { answer, begin, GRPC_HEAD, grpcRequest, isOver, rawCall } from './calls.js'
import { type Rig, startRig, valuesOf } from './rig.js'
import { openWire, RST, type WireStream } from './wire.js'

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))
// The pieces come in a third of it: what is left is for a machine that keeps this process from sending one.
const IDLE_MS = 750

describe('gRPC rules 17-22', () => {
  let rig: Rig
  before(async () => {
    rig = await startRig({
      route: { timeoutMs: 8000 },
      routes: port => {
        const common = { protocol: 'h2c' as const, holdMs: 0, endpoints: [endpoint(port)] }
        return [
          { ...common, prefix: '/idle/', timeoutMs: IDLE_MS },
          { ...common, prefix: '/total/', timeoutMs: 8000, totalTimeoutMs: 400 },
        ]
      },
    })
  })
  beforeEach(() => {
    rig.act = answer
  })
  after(() => rig.close())
  const forwarded = async (timeout: string, path = '/s/x.Y/Z') => {
    let stream = await rawCall(rig.wire, path, { more: [['grpc-timeout', timeout]] })
    // A machine that stands still for 100 ms is no fault of the proxy's.
    for (let again = 0; again < 5 && stream.grpcStatus === '4'; again++)
      stream = await rawCall(rig.wire, path, { more: [['grpc-timeout', timeout]] })
    assert.equal(stream.grpcStatus, '0')
    return valuesOf(rig.seen().head, 'grpc-timeout')
  }

  describe('rule 17: grpc-timeout', () => {
    for (const [text, ms] of [
      ['1H', 3_600_000],
      ['1M', 60_000],
      ['5S', 5000],
      ['5000m', 5000],
      ['5000000u', 5000],
      ['99999999n', 99.999999],
      ['00000005S', 5000],
    ] as const) {
      it(`${text} goes on as what is left of it, never more`, async () => {
        const [left, ...more] = await forwarded(text)
        const leftMs = parseGrpcTimeout(left)!
        assert.deepEqual(more, [])
        assert.ok(leftMs < ms && leftMs > ms * 0.5 - 1000, `${left} of ${text}`)
      })
    }
    for (const odd of ['1', '123456789S', '-1S', '1.5S', 'S', '5s', '1 S']) {
      it(`${odd} goes through as it is and is not enforced`, async () => assert.deepEqual(await forwarded(odd), [odd]))
    }
    it('absent stays absent', async () => {
      await rig.call()
      assert.deepEqual(valuesOf(rig.seen().head, 'grpc-timeout'), [])
    })
    it('0 is over before it has begun: 4', async () => {
      assert.equal((await rig.call({ more: [['grpc-timeout', '0m']] })).grpcStatus, '4')
    })
    it('the smaller of deadline and route limit holds, and is what the service is told', async () => {
      const [left] = await forwarded('5S', '/total/x.Y/Z')
      assert.ok(parseGrpcTimeout(left)! <= 400, left)
      rig.act = () => {}
      const begunAt = performance.now()
      const stream = await rawCall(rig.wire, '/total/x.Y/Z', { more: [['grpc-timeout', '5S']] })
      const tookMs = performance.now() - begunAt
      assert.deepEqual([stream.shape, stream.grpcStatus, tookMs > 398 && tookMs < 4500], ['HEADERS+END', '4', true])
      await until(() => rig.seen().resetCode === RST.CANCEL)
    })
    it('the idle limit is for silence, not for the length of a stream', async () => {
      rig.act = stream => {
        begin(stream, '1')
        let count = 1
        const timer = setInterval(() => {
          if (++count < 8) stream.wire.data(stream.id, message(String(count)))
          else {
            clearInterval(timer)
            stream.wire.headers(stream.id, [['grpc-status', '0']], 'end')
          }
        }, IDLE_MS / 3)
      }
      assert.equal((await rawCall(rig.wire, '/idle/x.Y/Z')).grpcStatus, '0')
    })
  })

  describe('rule 19: GOAWAY from a service', () => {
    it('streams up to the last id finish where they are, those above it and new ones go to a new connection at once', async () => {
      const own = await startRig()
      own.act = () => {}
      const streams = [own.open('end'), own.open('end'), own.open('end')]
      await until(() => own.service.calls.length === 3)
      const [first, second, third] = own.service.calls as [WireStream, WireStream, WireStream]
      own.act = stream => answer(stream, 'new')
      first.wire.goaway(second.id, RST.NO_ERROR)
      third.done = true
      await isOver(streams[2]!)
      assert.equal((await own.call()).grpcStatus, '0')
      assert.deepEqual([streams[0]!.shape, streams[1]!.shape, first.resetCode], ['', '', null])
      for (const each of [first, second]) answer(each, 'old')
      await Promise.all(streams.map(isOver))
      assert.deepEqual(
        streams.map(stream => String(stream.body.subarray(5))),
        ['old', 'old', 'new'],
      )
      assert.deepEqual([new Set(own.service.calls.slice(3).map(call => call.wire)).has(first.wire), first.wire.streams.size], [false, 3])
      await own.close()
    })
    it('an error code in it does not end the streams that it keeps', async () => {
      const own = await startRig()
      own.act = stream => {
        stream.wire.goaway(stream.id, RST.CALM)
        setTimeout(() => answer(stream), 50)
      }
      assert.equal((await own.call()).grpcStatus, '0')
      await own.close()
    })
  })

  describe('rule 21: a lost connection', () => {
    it('to the service is 14 for every call on it, begun or not', async () => {
      const own = await startRig()
      own.act = stream => stream.field('x-begin') !== undefined && begin(stream)
      const streams = Array.from({ length: 10 }, (_, at) => own.open('end', at % 2 === 0 ? [] : [['x-begin', 'yes']]))
      await until(() => own.service.calls.length === 10 && streams.filter(stream => stream.shape !== '').length === 5)
      for (const wire of own.service.wires) wire.kill()
      await Promise.all(streams.map(isOver))
      assert.deepEqual(
        streams.map(stream => `${stream.shape} ${stream.grpcStatus}`),
        streams.map((_, at) => (at % 2 === 0 ? 'HEADERS+END 14' : 'HEADERS DATA HEADERS+END 14')),
      )
      await own.close()
    })
    it('to the client is CANCEL for every call of it', async () => {
      rig.act = () => {}
      const known = rig.service.calls.length
      const wire = await openWire(rig.proxy.port)
      for (let count = 0; count < 10; count++) wire.open(grpcRequest('/s/x.Y/Z'), count % 2 === 0 ? 'end' : 'more')
      await until(() => rig.service.calls.length === known + 10)
      wire.kill()
      const mine = rig.service.calls.slice(known)
      await until(() => mine.every(call => call.resetCode === RST.CANCEL))
    })
  })

  describe('rule 22: PING', () => {
    it('is answered with its payload, also while DATA waits for a window', async () => {
      const wire = await openWire(rig.proxy.port, { credit: 'withheld' })
      rig.act = stream => {
        stream.wire.headers(stream.id, GRPC_HEAD, 'more')
        stream.wire.data(stream.id, Buffer.alloc(500_000))
      }
      const stream = wire.open(grpcRequest('/s/x.Y/Z'), 'end')
      await until(() => stream.body.length > 60_000)
      const passedMs = fairClock(process.pid, rig.workerPid())
      const payload = Buffer.from('\x00\x01\xfe\xffping', 'latin1')
      assert.ok((await wire.ping(payload)).equals(payload))
      assert.ok(passedMs() < 2000, `${passedMs()} ms`)
      wire.close()
    })
    it('of a client ends at the proxy and costs it nothing: ten in a row, with and without a call', async () => {
      rig.act = () => {}
      const wire = await openWire(rig.proxy.port)
      for (let count = 0; count < 5; count++) await wire.ping()
      await rig.call({ more: [['grpc-timeout', '50m']] })
      const known = rig.service.wires.reduce((sum, each) => sum + each.pings, 0)
      wire.open(grpcRequest('/s/x.Y/Z'), 'end')
      for (let count = 0; count < 5; count++) await wire.ping()
      assert.deepEqual([wire.goaways, rig.service.wires.reduce((sum, each) => sum + each.pings, 0) - known], [[], 0])
      wire.close()
    })
    it('a service that talks and one that is silent get no more than two PINGs of the proxy’s own in two seconds', async () => {
      const own = await startRig()
      own.act = stream => stream.field('x-silent') === undefined && answer(stream)
      own.open('end', [['x-silent', 'yes']])
      for (let count = 0; count < 20; count++) {
        await own.call()
        await pause(100)
      }
      // gRPC servers count two strikes and answer with GOAWAY too_many_pings; one PING every 10 s is what they all bear.
      assert.ok(own.service.wires.every(wire => wire.pings <= 2))
      await own.close()
    })
  })
})
