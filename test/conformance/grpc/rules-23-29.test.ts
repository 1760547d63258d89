// gRPC rules 23, 24, 26 and 29 (proxy.md D): limits and windows, and what goes along.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { message } from '../h2-frames.js'
import { until } from '../start-proxy.js'
import { afterRead, answer, GRPC_HEAD, grpcRequest, isOver, rawCall } from './calls.js'
import type { Field } from './hpack-reader.js'
import { type Rig, startRig, valuesOf } from './rig.js'
import { openWire, SETTING, type Wire } from './wire.js'

const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

describe('gRPC rules 23-29', () => {
  let rig: Rig
  before(async () => {
    rig = await startRig({ route: { timeoutMs: 8000 } })
  })
  beforeEach(() => {
    rig.act = answer
  })
  after(() => rig.close())

  describe('rule 23: a service’s MAX_CONCURRENT_STREAMS', () => {
    it('is never exceeded, from the first SETTINGS on: calls wait, and all are served', async () => {
      const limits: [number, number][] = [[SETTING.MAX_STREAMS, 3]]
      let most = 0
      const own = await startRig({ service: { settings: limits } })
      assert.equal((await own.call()).grpcStatus, '0')
      own.act = stream => {
        if (stream.wire.streams.size > 1) most = Math.max(most, stream.wire.openCalls())
        setTimeout(() => answer(stream), 5)
      }
      const streams = Array.from({ length: 60 }, () => own.open('end'))
      await Promise.all(streams.map(isOver))
      assert.deepEqual(new Set(streams.map(stream => stream.grpcStatus)), new Set(['0']))
      assert.ok(most <= 3, `${most} at once`)
      await own.close()
    })
    it('0 makes calls wait, and their deadline still holds; a higher one lets them go', async () => {
      const zero: [number, number][] = [[SETTING.MAX_STREAMS, 0]]
      const own = await startRig({ service: { settings: zero } })
      const late = await own.call({ more: [['grpc-timeout', '200m']] })
      // The first may have left before SETTINGS came; it is answered then.
      if (late.grpcStatus !== '0') assert.equal(late.grpcStatus, '4')
      const waits = own.call({ more: [['grpc-timeout', '200m']] })
      assert.equal((await waits).grpcStatus, '4')
      const served = own.call()
      await pause(50)
      zero.length = 0
      for (const wire of own.service.wires) wire.settings([[SETTING.MAX_STREAMS, 10]])
      assert.equal((await served).grpcStatus, '0')
      await own.close()
    })
    it('one that falls below what is open lets the open ones finish', async () => {
      const own = await startRig()
      own.act = () => {}
      const streams = Array.from({ length: 5 }, () => own.open('end'))
      await until(() => own.service.calls.length === 5)
      const old = [...own.service.calls]
      for (const wire of own.service.wires) wire.settings([[SETTING.MAX_STREAMS, 1]])
      await Promise.all(own.service.wires.map(wire => wire.ping()))
      own.act = answer
      const next = own.call()
      await pause(30)
      for (const stream of old) answer(stream)
      await Promise.all(streams.map(isOver))
      assert.deepEqual([new Set(streams.map(stream => stream.grpcStatus)), (await next).grpcStatus], [new Set(['0']), '0'])
      await own.close()
    })
  })

  describe('rule 24: flow control goes from end to end', () => {
    const MEGABYTE = 2 ** 20
    const whole = (size: number) => message('m'.repeat(size))
    it('a service that takes nothing stops the client; the proxy holds no more than its windows', async () => {
      const own = await startRig({ service: { credit: 'withheld' } })
      own.act = () => {}
      const stream = own.open('more')
      own.wire.data(stream.id, whole(16 * MEGABYTE), 'end')
      await until(() => own.service.calls.length === 1 && own.seen().body.length >= 65_535)
      await pause(300)
      const sent = stream.sentBytes
      assert.ok(sent < 2 * MEGABYTE, `${sent} bytes have left the client, ${own.seen().body.length} have come`)
      // Another call of the same client passes it by, over the same connections.
      own.service.wires[0]!.windowUpdate(0, 4 * MEGABYTE)
      own.act = answer
      assert.equal((await own.call()).grpcStatus, '0')
      await own.close()
    })
    it('a client that takes nothing stops the service; its other streams go on', async () => {
      const wire = await openWire(rig.proxy.port, { credit: 'withheld' })
      wire.windowUpdate(0, 2 ** 30)
      rig.act = ({ wire: service, id }) => {
        service.headers(id, GRPC_HEAD, 'more')
        service.data(id, whole(16 * MEGABYTE))
        service.headers(id, [['grpc-status', '0']], 'end')
      }
      const stalled = wire.open(grpcRequest('/s/x.Y/Z'), 'end')
      await until(() => stalled.body.length === 65_535)
      await pause(300)
      const sent = rig.seen().sentBytes
      assert.ok(sent < 4 * MEGABYTE, `${sent} bytes have left the service`)
      rig.act = answer
      for (let count = 0; count < 20; count++) assert.equal((await rawCall(wire, '/s/x.Y/Z')).grpcStatus, '0')
      wire.windowUpdate(stalled.id, 32 * MEGABYTE)
      await isOver(stalled)
      assert.deepEqual([stalled.grpcStatus, stalled.body.length], ['0', 16 * MEGABYTE + 5])
      wire.close()
    })
    it('padding counts: three megabytes of it pass in both directions', async () => {
      const FRAMES = 12_000
      rig.act = ({ wire, id }) => {
        wire.headers(id, GRPC_HEAD, 'more')
        for (let count = 0; count < FRAMES; count++) wire.data(id, message(''), 'more', 255)
        wire.headers(id, [['grpc-status', '0']], 'end')
      }
      const stream = rig.open('more')
      for (let count = 0; count < FRAMES; count++) rig.wire.data(stream.id, message(''), 'more', 255)
      rig.wire.data(stream.id, Buffer.alloc(0), 'end')
      await isOver(stream)
      assert.deepEqual([stream.grpcStatus, stream.body.length, rig.seen().body.length], ['0', FRAMES * 5, FRAMES * 5])
    })
  })

  describe('rule 26: what goes along', () => {
    const FIELDS: Field[] = [['user-agent', 'grpc-suite/1.0 (odd; text)']]
    it(':authority and user-agent unchanged, host dropped, x-forwarded-for, -proto and -host added', async () => {
      await rig.call({ more: [...FIELDS, ['host', 'suite.test']] })
      const { head } = rig.seen()
      const value = (name: string) => valuesOf(head, name)
      assert.deepEqual([value(':authority'), value('user-agent'), value('host')], [['suite.test'], ['grpc-suite/1.0 (odd; text)'], []])
      assert.deepEqual(
        ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host'].map(name => value(name).at(-1)),
        ['127.0.0.1', 'http', 'suite.test'],
      )
      assert.deepEqual([value(':method'), value(':scheme'), value(':path')], [['POST'], ['http'], ['/x.Y/Z']])
    })
  })

  describe('rule 29: a unary call cannot tell that there is a proxy (all of interop.test.ts; here field for field)', () => {
    it('same fields in the same order, same bytes', async () => {
      const direct = await openWire(rig.service.port)
      rig.act = ({ wire, id, body }) => {
        wire.headers(id, [...GRPC_HEAD, ['x-b', '2'], ['x-a', '1'], ['x-b', '3'], ['x-c-bin', 'AAE']], 'more')
        wire.data(id, body)
        wire.headers(
          id,
          [
            ['grpc-status', '0'],
            ['grpc-message', ''],
            ['x-z', '9'],
            ['x-y-bin', '/w'],
          ],
          'end',
        )
      }
      const ask = async (wire: Wire, path: string) => {
        const stream = await rawCall(wire, path, { body: message('\x00\x01\xff') })
        return { head: stream.head, trailers: stream.trailers, body: stream.body.toString('hex'), shape: stream.shape }
      }
      assert.deepEqual(await ask(rig.wire, '/s/x.Y/Z'), await ask(direct, '/x.Y/Z'))
      await afterRead(direct, () => direct.close())
    })
  })
})
