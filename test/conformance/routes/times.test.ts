// How long a request may take on its route: as a whole, in silence, and waiting for an instance.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:http2'
import { after, before, describe, it } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { h2cClient, PROTOCOLS } from '../clients.js'
import { http1Origin, http2Origin, type Origin } from '../origins.js'
import { endpoint, startTestProxy, type TestProxy } from '../start-proxy.js'
import { closeAll, codeOf, GRPC } from './services.js'

// Long beside what a busy machine keeps this process from sending its pieces.
const LIMIT_MS = 500
// Far from the 5 s of every route.
const LATE_MS = 4000

async function timed<T>(promise: Promise<T>): Promise<{ value: T | null; tookMs: number }> {
  const begun = performance.now()
  const value = await promise.catch(() => null)
  return { value, tookMs: performance.now() - begun }
}

describe('total_timeout and idle_timeout', () => {
  let web: Origin
  let model: Origin
  let socket: WebSocketServer
  let proxy: TestProxy
  before(async () => {
    // /never, /drip: a piece every 50 ms for 1 s, /stop: one piece and no more.
    web = await http1Origin((request, response) => {
      if (request.url === '/never') return
      response.write('piece')
      if (request.url === '/stop') return
      let left = 20
      const timer = setInterval(() => (--left > 0 ? response.write('piece') : response.end()), 50)
      response.on('close', () => clearInterval(timer))
    })
    model = await http2Origin((stream, raw) => {
      if (raw.includes('/never')) return
      stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
      stream.write(Buffer.alloc(5))
      if (raw.includes('/stop')) return
      const timer = setInterval(() => stream.write(Buffer.alloc(5)), 50)
      stream.on('close', () => clearInterval(timer))
    })
    socket = new WebSocketServer({ port: 0, host: '127.0.0.1' })
    await once(socket, 'listening')
    socket.on('connection', peer => {
      peer.on('error', () => {})
      peer.on('message', data => peer.send(data))
    })
    const endpoints = [endpoint(web.port)]
    const models = { protocol: 'h2c' as const, endpoints: [endpoint(model.port)] }
    proxy = await startTestProxy([
      { prefix: '/total/', totalTimeoutMs: LIMIT_MS, endpoints },
      { prefix: '/idle/', idleTimeoutMs: LIMIT_MS, endpoints },
      { prefix: '/free/', endpoints },
      { prefix: '/hold/', totalTimeoutMs: LIMIT_MS, holdMs: 5000, endpoints: [endpoint(1, { ready: false })] },
      { prefix: '/gtotal/', totalTimeoutMs: LIMIT_MS, ...models },
      { prefix: '/gidle/', idleTimeoutMs: 50, timeoutMs: LIMIT_MS, ...models },
      { prefix: '/ws/', idleTimeoutMs: LIMIT_MS, endpoints: [endpoint((socket.address() as { port: number }).port)] },
    ])
  })
  after(async () => {
    await proxy.stop()
    for (const peer of socket.clients) peer.terminate()
    socket.close()
    await closeAll(web, model)
  })

  const isAbout = (tookMs: number) => assert.ok(tookMs >= LIMIT_MS - 2 && tookMs < LIMIT_MS + LATE_MS, `${tookMs} ms`)

  for (const { name, open } of PROTOCOLS) {
    it(`${name}: total_timeout before the answer is 504, in its middle the answer breaks off, while it waits too`, async () => {
      const client = open(proxy.port)
      for (const path of ['/total/never', '/hold/x']) {
        const { value, tookMs } = await timed(client.request({ path }))
        assert.deepEqual([value?.status, codeOf(value!)], [504, 'TIME_LIMIT_PASSED'], path)
        isAbout(tookMs)
      }
      const { value, tookMs } = await timed(client.request({ path: '/total/drip' }))
      assert.equal(value, null, 'nobody takes it for complete')
      isAbout(tookMs)
      client.close()
    })

    it(`${name}: idle_timeout ends an answer that stops, not one that goes on; without it neither`, async () => {
      const client = open(proxy.port)
      const stopped = await timed(client.request({ path: '/idle/stop' }))
      assert.equal(stopped.value, null)
      isAbout(stopped.tookMs)
      assert.equal((await client.request({ path: '/idle/drip' })).body, 'piece'.repeat(20))
      const free = client.request({ path: '/free/stop' }).then(
        () => 'ended',
        () => 'ended',
      )
      assert.equal(await Promise.race([free, new Promise(resolve => setTimeout(() => resolve('open'), 3 * LIMIT_MS))]), 'open')
      client.close()
    })
  }

  it('a tunnel ends after idle_timeout without a message, and not before', async () => {
    const client = new WebSocket(`ws://127.0.0.1:${proxy.port}/ws/x`)
    client.on('error', () => {})
    await once(client, 'open')
    for (let count = 0; count < 8; count++) {
      client.send('on')
      await once(client, 'message')
      await new Promise(resolve => setTimeout(resolve, LIMIT_MS / 4))
    }
    const { tookMs } = await timed(once(client, 'close'))
    assert.ok(tookMs < LIMIT_MS + LATE_MS, `${tookMs} ms`)
  })

  it('gRPC: total_timeout is 4 before the answer and in its trailers; silence is the route’s timeout, not idle_timeout', async () => {
    const client = h2cClient(proxy.port)
    const never = await timed(client.request({ path: '/gtotal/never', headers: GRPC, body: Buffer.alloc(5) }))
    assert.deepEqual([never.value?.headers['grpc-status'], never.value?.headOnly], ['4', true])
    isAbout(never.tookMs)
    const begun = await timed(client.request({ path: '/gtotal/drip', headers: GRPC, body: Buffer.alloc(5) }))
    assert.equal(begun.value?.trailers['grpc-status'], '4')
    isAbout(begun.tookMs)
    const silent = await timed(client.request({ path: '/gidle/stop', headers: GRPC, body: Buffer.alloc(5) }))
    assert.equal(silent.value?.trailers['grpc-status'], '14')
    isAbout(silent.tookMs)
    client.close()
  })

  it('gRPC: the nearer of the client’s deadline and total_timeout counts, and the service is told it', async () => {
    const told: number[] = []
    const service = await http2Origin((_stream, raw) => told.push(Number(raw[raw.indexOf('grpc-timeout') + 1]!.slice(0, -1))))
    const own = await startTestProxy([{ prefix: '/g/', protocol: 'h2c', totalTimeoutMs: LIMIT_MS, endpoints: [endpoint(service.port)] }])
    const session = connect(`http://127.0.0.1:${own.port}`)
    for (const text of ['10S', '400m']) {
      const stream = session.request({ ':method': 'POST', ':path': '/g/a.B/C', ...GRPC, 'grpc-timeout': text })
      stream.end(Buffer.alloc(5))
      const [headers] = (await once(stream, 'response')) as [Record<string, string>]
      assert.equal(headers['grpc-status'], '4')
    }
    assert.equal(told.length, 2)
    session.destroy()
    await own.stop()
    await service.close()
  })
})
