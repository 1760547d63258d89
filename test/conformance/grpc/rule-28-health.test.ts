// gRPC rule 28 (proxy.md D): grpc.health.v1 decides what is in rotation, and leaving it breaks no open stream.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { HealthImplementation } from 'grpc-health-check'
import type { ProbeSpec } from '../../../src/core/spec.js'
import { clock } from '../../../src/host/clock.js'
import { probeOnce, watchOnce } from '../../../src/supervisor/probe.js'
import { Prober } from '../../../src/supervisor/prober.js'
import type { World } from '../../../src/supervisor/world.js'
import { spec } from '../../supervisor/fakes.js'
import { echoClient, echoServer, unary } from '../grpc-echo.js'
import { endLater, endpoint, startTestProxy, until } from '../start-proxy.js'

const PROBE: ProbeSpec = { target: { kind: 'grpc', service: 'model' }, intervalMs: 60_000, timeoutMs: 10_000, failures: 1 }
const never = new AbortController().signal

describe('rule 28: health', () => {
  const health = new HealthImplementation({ model: 'SERVING' })
  let address: { host: string; port: number }
  let stop = () => {}
  before(async () => {
    const server = new grpc.Server()
    health.addToServer(server as never)
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
    )
    address = { host: '127.0.0.1', port }
    stop = endLater(() => server.forceShutdown())
  })
  after(() => stop())

  it('Check: SERVING passes, NOT_SERVING and an unknown service do not', async () => {
    const check = (service: string) => probeOnce({ ...PROBE, target: { kind: 'grpc', service } }, { ...spec('model'), address }, never)
    assert.equal(await check('model'), 'SERVING')
    assert.equal(await check('other'), 'SERVICE_UNKNOWN')
    health.setStatus('model', 'NOT_SERVING')
    assert.equal(await check('model'), 'NOT_SERVING')
    health.setStatus('model', 'SERVING')
  })

  it('a service without grpc.health.v1 is up', async () => {
    const plain = await echoServer()
    const one = { ...spec('model'), address: { host: '127.0.0.1', port: plain.port } }
    assert.equal(await probeOnce(PROBE, one, never), 'pass')
    plain.stop()
  })

  it('Watch: a change is known at once, not at the next Check', async () => {
    let changes = 0
    const world = { clock, probe: probeOnce, watch: watchOnce } as unknown as World
    const prober = new Prober(world, () => changes++)
    prober.start({ ...spec('model'), address, probe: PROBE })
    try {
      await until(() => prober.ready)
      health.setStatus('model', 'NOT_SERVING')
      await until(() => !prober.ready)
      health.setStatus('model', 'SERVING')
      await until(() => prober.ready)
      assert.equal(changes, 3)
    } finally {
      prober.stop()
      health.setStatus('model', 'SERVING')
    }
  })

  it('an instance that leaves the rotation keeps its open streams, and gets no new call', async () => {
    const [a, b] = [await echoServer('a'), await echoServer('b')]
    const route = { prefix: '/e/', protocol: 'h2c' as const }
    const proxy = await startTestProxy([{ ...route, endpoints: [endpoint(a.port)] }])
    const client = echoClient(proxy.port, '/e/')
    const chat = client.chat()
    const got: string[] = []
    chat.on('data', part => got.push(String(part)))
    chat.write(Buffer.from('before'))
    await until(() => got.length === 1)
    await proxy.setTable([{ ...route, endpoints: [endpoint(a.port, { ready: false }), endpoint(b.port)] }])
    for (let count = 0; count < 4; count++) assert.deepEqual((await unary(client, 'unary', Buffer.from('x'))).trailing.get('server'), ['b'])
    chat.write(Buffer.from('after'))
    await until(() => got.length === 2)
    const status = new Promise<grpc.StatusObject>(resolve => chat.on('status', resolve))
    chat.end()
    assert.equal((await status).code, 0)
    client.close()
    await proxy.stop()
    a.stop()
    b.stop()
  })
})
