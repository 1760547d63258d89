// Six seconds of trouble at once: aborts, cancels, endpoints that come and go. Nothing crashes, and everything that was opened is closed again.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { connect } from 'node:http2'
import { connect as netConnect } from 'node:net'
import { describe, it } from 'node:test'
import { http1Request } from './clients.js'
import { echoClient, echoServer, unary } from './grpc-echo.js'
import { http1Origin } from './origins.js'
import { endpoint, startTestProxy, until } from './start-proxy.js'

const SOAK_MS = 6000
const fdsOf = (pid: number) => readdirSync(`/proc/${pid}/fd`).length
const pause = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

describe('soak', () => {
  it('after load with aborts, cancels and upstream flaps the worker is the same and holds no more than before', async () => {
    const web = await http1Origin((request, response) => {
      if (request.url === '/cut') response.write('cut', () => response.destroy())
      else if (request.url === '/slow') setTimeout(() => response.end('slow'), 50)
      else response.end('x'.repeat(50_000))
    })
    const model = await echoServer()
    const routes = (ready: boolean) => [
      { prefix: '/w/', holdMs: 2000, endpoints: [endpoint(web.port, { ready })] },
      { prefix: '/e/', protocol: 'h2c' as const, holdMs: 2000, endpoints: [endpoint(model.port, { ready })] },
    ]
    const proxy = await startTestProxy(routes(true))
    const { pid } = proxy.status().workers[0]!
    const warm = echoClient(proxy.port, '/e/')
    await unary(warm, 'unary', Buffer.from('x'))
    warm.close()
    await http1Request(proxy.port, { path: '/w/x' })
    await until(() => fdsOf(pid) < 40)
    await pause(200)
    const baseFds = fdsOf(pid)

    const end = performance.now() + SOAK_MS
    const counts: Record<string, number> = {}
    const repeat = async (name: string, work: () => Promise<void>) => {
      while (performance.now() < end) {
        await work()
        counts[name] = (counts[name] ?? 0) + 1
      }
    }
    const client = echoClient(proxy.port, '/e/')
    await Promise.all([
      repeat('flaps', async () => {
        await proxy.setTable(routes(false))
        await pause(20)
        await proxy.setTable(routes(true))
        await pause(150)
      }),
      repeat('h1 aborts', async () => {
        const socket = netConnect(proxy.port, '127.0.0.1')
        socket.on('error', () => {})
        await once(socket, 'connect')
        socket.write('GET /w/slow HTTP/1.1\r\nHost: h\r\n\r\nGET /w/x HTTP/1.1\r\nHost: h\r\n\r\n')
        await pause(10)
        socket.resetAndDestroy()
      }),
      repeat('h2 aborts', async () => {
        const session = connect(`http://127.0.0.1:${proxy.port}`)
        session.on('error', () => {})
        for (const path of ['/w/slow', '/w/x', '/w/cut', '/nowhere']) session.request({ ':path': path }).on('error', () => {})
        await pause(15)
        session.destroy()
      }),
      repeat('cuts', async () => {
        await assert.rejects(http1Request(proxy.port, { path: '/w/cut' }))
      }),
      repeat('cancels', async () => {
        const call = client.chat()
        call.on('error', () => {})
        call.on('data', () => {})
        call.write(Buffer.from('x'))
        await pause(5)
        call.cancel()
        // node:http2's own flood guard allows 33 resets a second for good; beyond it the session dies (see proxy.md 3.2).
        await pause(50)
      }),
      repeat('http', async () => assert.equal((await http1Request(proxy.port, { path: '/w/x' })).status, 200)),
      repeat('grpc', async () => {
        const result = await unary(client, 'unary', Buffer.from('x'))
        assert.equal(result.code, 0, result.details)
      }),
    ])
    client.close()

    for (const name of ['flaps', 'h1 aborts', 'h2 aborts', 'cuts', 'cancels', 'http', 'grpc'])
      assert.ok(counts[name]! > 10, JSON.stringify(counts))
    assert.deepEqual(
      proxy.status().workers.map(worker => worker.pid),
      [pid],
    )
    assert.deepEqual(proxy.messages, [])
    // Kept connections to the services may stay open; they are few.
    await until(() => fdsOf(pid) <= baseFds + 4)
    assert.ok(proxy.status().workers[0]!.rssBytes < 150 << 20, `${proxy.status().workers[0]!.rssBytes} bytes`)
    await proxy.stop()
    await web.close()
    model.stop()
  })
})
