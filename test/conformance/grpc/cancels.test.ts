// A polite canceller (proxy.md 2.3, last row): 4000 calls one after the other on one connection, each cancelled, cost no GOAWAY.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { echoClient, unary } from '../grpc-echo.js'
import { TYPE } from '../h2-frames.js'
import { endpoint, startTestProxy, type TestProxy, until } from '../start-proxy.js'
import { answer, GRPC_HEAD, grpcRequest, rawCall } from './calls.js'
import { Grpcio, noGrpcio } from './grpcio.js'
import { tap } from './tap.js'
import { openWire, RST, type WireService, wireService } from './wire.js'

const CANCELS = 4000

describe('4000 calls, each cancelled when its answer has begun', () => {
  let left = 0
  let cancelled = 0
  let service: WireService
  let proxy: TestProxy

  before(async () => {
    service = await wireService({
      opened: stream => (left-- > 0 ? stream.wire.headers(stream.id, GRPC_HEAD, 'more') : answer(stream)),
      reset: (_stream, code) => {
        assert.equal(code, RST.CANCEL)
        cancelled++
      },
    })
    proxy = await startTestProxy([{ prefix: '/s/', protocol: 'h2c', endpoints: [endpoint(service.port)] }])
  })
  after(async () => {
    await proxy.stop()
    await service.close()
  })

  it('from raw frames', async () => {
    left = CANCELS
    cancelled = 0
    let next = { begun: () => {}, refused: (_error: Error) => {} }
    const wire = await openWire(proxy.port, {
      opened: () => next.begun(),
      frame: ({ type }) => type === TYPE.GOAWAY && next.refused(new Error(`GOAWAY at call ${CANCELS - left}`)),
    })
    for (let count = 0; count < CANCELS; count++) {
      const stream = wire.open(grpcRequest('/s/x.Y/Z'), 'end')
      await new Promise<void>((begun, refused) => {
        next = { begun, refused }
      })
      wire.reset(stream.id, RST.CANCEL)
    }
    assert.equal((await rawCall(wire, '/s/x.Y/Z')).grpcStatus, '0')
    await until(() => cancelled === CANCELS)
    assert.deepEqual(wire.goaways, [])
    wire.close()
  })

  it('from grpc-js', async () => {
    left = CANCELS
    cancelled = 0
    const between = await tap(proxy.port)
    const client = echoClient(between.port, '/s/')
    for (let count = 0; count < CANCELS; count++) {
      const call = client.expand(Buffer.from('x'))
      await new Promise((resolve, reject) => {
        call.on('error', reject)
        call.on('metadata', resolve)
      })
      call.removeAllListeners('error').on('error', () => {})
      call.cancel()
    }
    const last = await unary(client, 'unary', Buffer.from('x'))
    client.close()
    await between.close()
    assert.deepEqual([last.code, between.goaways, between.accepted()], [0, [], 1], last.details)
    await until(() => cancelled === CANCELS)
  })

  it('from grpcio', { skip: noGrpcio }, async () => {
    left = CANCELS
    cancelled = 0
    const python = new Grpcio()
    const between = await tap(proxy.port)
    const ask = { op: 'cancels', port: between.port, path: '/s/x.Y/Z', count: CANCELS } as const
    const last = await python.call({ ...ask, timeoutMs: 10_000 })
    await python.close()
    await between.close()
    assert.deepEqual([last.code, between.goaways, between.accepted()], [0, [], 1], last.details)
    await until(() => cancelled === CANCELS)
  })
})
