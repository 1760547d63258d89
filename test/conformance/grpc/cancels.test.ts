// A polite canceller (proxy.md 2.3, last row): 4000 calls one after the other on one connection, each cancelled, cost no GOAWAY.
// Other proxies say GOAWAY at about 1000.  More than proxy.max_resets_per_second (500) may be slowed down, so the three clients go at it at the same time,
// each on its own connection.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { echoClient, unary } from '../grpc-echo.js'
import { TYPE } from '../h2-frames.js'
import { endpoint, startTestProxy, type TestProxy, until } from '../start-proxy.js'
import { answer, GRPC_HEAD, grpcRequest, rawCall } from './calls.js'
import { Grpcio, noGrpcio } from './grpcio.js'
import { tap } from './tap.js'
import { openWire, RST, type WireService, type WireStream, wireService } from './wire.js'

const CANCELS = 4000

describe(`${CANCELS} calls of each client, each cancelled when its answer has begun`, { concurrency: 3 }, () => {
  /** By the first segment of the path, which names the client: calls still to be begun only, and CANCELs that came. */
  const left: Record<string, number> = { raw: CANCELS, js: CANCELS, python: CANCELS }
  const cancelled: Record<string, number> = { raw: 0, js: 0, python: 0 }
  const clientOf = (stream: WireStream) => stream.field(':path')!.split('/')[1]!
  let service: WireService
  let proxy: TestProxy

  before(async () => {
    service = await wireService({
      opened: stream => {
        if (left[clientOf(stream)]!-- > 0) stream.wire.headers(stream.id, GRPC_HEAD, 'more')
        else answer(stream)
      },
      reset: (stream, code) => {
        assert.equal(code, RST.CANCEL)
        cancelled[clientOf(stream)]!++
      },
    })
    const route = { protocol: 'h2c' as const, strip: false, endpoints: [endpoint(service.port)] }
    proxy = await startTestProxy(['/raw/', '/js/', '/python/'].map(prefix => ({ prefix, ...route })))
  })
  after(async () => {
    await proxy.stop()
    await service.close()
  })

  it('from raw frames', async () => {
    let next = { begun: () => {}, refused: (_error: Error) => {} }
    const wire = await openWire(proxy.port, {
      opened: () => next.begun(),
      frame: ({ type }) => type === TYPE.GOAWAY && next.refused(new Error(`GOAWAY at call ${CANCELS - left.raw!}`)),
    })
    for (let count = 0; count < CANCELS; count++) {
      const stream = wire.open(grpcRequest('/raw/x.Y/Z'), 'end')
      await new Promise<void>((begun, refused) => {
        next = { begun, refused }
      })
      wire.reset(stream.id, RST.CANCEL)
    }
    assert.equal((await rawCall(wire, '/raw/x.Y/Z')).grpcStatus, '0')
    await until(() => cancelled.raw === CANCELS)
    assert.deepEqual(wire.goaways, [])
    wire.close()
  })

  it('from grpc-js', async () => {
    const between = await tap(proxy.port)
    const client = echoClient(between.port, '/js/')
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
    await until(() => cancelled.js === CANCELS)
  })

  it('from grpcio', { skip: noGrpcio }, async () => {
    const python = new Grpcio()
    const between = await tap(proxy.port)
    const ask = { op: 'cancels', port: between.port, path: '/python/x.Y/Z', count: CANCELS } as const
    const last = await python.call({ ...ask, timeoutMs: 10_000 })
    await python.close()
    await between.close()
    assert.deepEqual([last.code, between.goaways, between.accepted()], [0, [], 1], last.details)
    await until(() => cancelled.python === CANCELS)
  })
})
