// The health answers of the port: the proxy's own, a gRPC service's as JSON, an HTTP service's as it is.
import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { after, before, describe, it } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { HealthImplementation, type ServingStatus } from 'grpc-health-check'
import { h2cRequest, http1Request, PROTOCOLS } from './clients.js'
import { echoServer } from './grpc-echo.js'
import { frameOrigin, message } from './h2-frames.js'
import { closedPort, http1Origin, type Origin } from './origins.js'
import { endLater, endpoint, startTestProxy, type TestProxy } from './start-proxy.js'

async function healthServer(status: ServingStatus): Promise<{ port: number; health: HealthImplementation; stop(): void }> {
  const server = new grpc.Server()
  const health = new HealthImplementation({ '': status })
  health.addToServer(server)
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, chosen) => (error ? reject(error) : resolve(chosen))),
  )
  return { port, health, stop: endLater(() => server.forceShutdown()) }
}

describe('health', () => {
  let model: Awaited<ReturnType<typeof healthServer>>
  let plain: Awaited<ReturnType<typeof echoServer>>
  let web: Origin
  let stuck: Origin
  let broken: Origin
  let proxy: TestProxy
  before(async () => {
    model = await healthServer('SERVING')
    plain = await echoServer()
    web = await http1Origin()
    stuck = await frameOrigin({})
    broken = await frameOrigin({ ended: (connection, id) => connection.reset(id, 2) })
    const h2c = { protocol: 'h2c' as const }
    proxy = await startTestProxy([
      { prefix: '/model/', ...h2c, endpoints: [endpoint(model.port)] },
      { prefix: '/plain/', ...h2c, endpoints: [endpoint(plain.port)] },
      { prefix: '/mixed/', ...h2c, endpoints: [endpoint(await closedPort()), endpoint(model.port)] },
      { prefix: '/down/', ...h2c, holdMs: 20_000, endpoints: [endpoint(await closedPort())] },
      { prefix: '/none/', ...h2c, holdMs: 20_000, endpoints: [endpoint(model.port, { ready: false })] },
      { prefix: '/stuck/', ...h2c, endpoints: [endpoint(stuck.port)] },
      { prefix: '/broken/', ...h2c, endpoints: [endpoint(broken.port)] },
      { prefix: '/web/', endpoints: [endpoint(web.port)] },
    ])
  })
  after(async () => {
    await proxy.stop()
    model.stop()
    plain.stop()
    await Promise.all([web, stuck, broken].map(origin => origin.close()))
  })

  for (const protocol of PROTOCOLS) {
    it(`${protocol.name}: /health is the proxy's own: status, version, table, ready counts`, async () => {
      const client = protocol.open(proxy.port)
      const answer = await client.request({ path: '/health?x' })
      const head = await client.request({ path: '/health', method: 'HEAD' })
      client.close()
      assert.equal(answer.status, 200)
      const value = JSON.parse(answer.body)
      assert.deepEqual([value.status, value.version, value.table], ['ok', '0.0.0-test', 1])
      assert.deepEqual(value.upstreams['/none/'], { ready: 0, total: 1 })
      assert.deepEqual(value.upstreams['/mixed/'], { ready: 2, total: 2 })
      assert.deepEqual([head.status, head.body], [200, ''])
    })

    const rows: [string, number, string][] = [
      ['/model/health', 200, 'SERVING'],
      ['/mixed/health', 200, 'SERVING'],
      ['/plain/health', 200, 'UNKNOWN'],
      ['/down/health', 503, 'NOT_READY'],
      ['/none/health', 503, 'NOT_READY'],
      ['/broken/health', 503, 'FAILED'],
    ]
    for (const [path, status, word] of rows) {
      it(`${protocol.name}: ${path} is ${status} ${word}, at once`, async () => {
        const client = protocol.open(proxy.port)
        const begun = performance.now()
        const answer = await client.request({ path })
        client.close()
        assert.equal(answer.status, status, answer.body)
        assert.equal(JSON.parse(answer.body).status, word)
        assert.match(String(answer.headers['content-type']), /application\/json/)
        assert.ok(performance.now() - begun < 10_000, 'half of its hold')
      })
    }
  }

  it('a service that says NOT_SERVING is 503', async () => {
    model.health.setStatus('', 'NOT_SERVING')
    const answer = await http1Request(proxy.port, { path: '/model/health' })
    model.health.setStatus('', 'SERVING')
    assert.deepEqual([answer.status, JSON.parse(answer.body).status], [503, 'NOT_SERVING'])
  })

  it('a service that answers but knows no health protocol says so', async () => {
    assert.match(JSON.parse((await http1Request(proxy.port, { path: '/plain/health' })).body).note, /does not implement/)
  })

  it('a service that never answers the check is 503 after 3 s', async () => {
    const answer = await http1Request(proxy.port, { path: '/stuck/health' })
    assert.deepEqual([answer.status, JSON.parse(answer.body).status], [503, 'TIMEOUT'])
  })

  it('/web/health goes to the HTTP service', async () => {
    const answer = await http1Request(proxy.port, { path: '/web/health' })
    assert.equal(JSON.parse(answer.body).target, '/health')
  })

  it('a gRPC client that calls these paths makes ordinary calls', async () => {
    const session = connect(`http://127.0.0.1:${proxy.port}`)
    const call = { method: 'POST', headers: { 'content-type': 'application/grpc', te: 'trailers' }, body: message('').toString('latin1') }
    const own = await h2cRequest(session, { ...call, path: '/health' })
    const theirs = await h2cRequest(session, { ...call, path: '/plain/health' })
    const check = await h2cRequest(session, { ...call, path: '/model/grpc.health.v1.Health/Check' })
    session.destroy()
    assert.deepEqual([own.headers['grpc-status'], check.trailers['grpc-status']], ['12', '0'])
    assert.equal(theirs.headers['grpc-status'] ?? theirs.trailers['grpc-status'], '12')
    assert.match(String(theirs.headers['grpc-message'] ?? theirs.trailers['grpc-message']), /method/)
  })
})
