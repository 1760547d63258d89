// A request waits while its service is not ready, and no longer than it may.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect as netConnect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { MAX_HELD } from '../../src/proxy/hold.js'
import { h2cClient, http1Request, PROTOCOLS, rawExchange, statusOf } from './clients.js'
import { echoClient, echoServer, unary } from './grpc-echo.js'
import { logLines } from './log-lines.js'
import { closedPort, http1Origin, rawOrigin } from './origins.js'
import { endpoint, startTestProxy, until } from './start-proxy.js'

const within = async <T>(promise: Promise<T>) => {
  const begun = performance.now()
  const value = await promise
  return { value, tookMs: performance.now() - begun }
}

describe('hold', () => {
  for (const protocol of PROTOCOLS) {
    it(`${protocol.name}: a request waits until its endpoint is ready, body and all`, async () => {
      const origin = await http1Origin()
      const route = { prefix: '/w/', holdMs: 10_000 }
      const proxy = await startTestProxy([{ ...route, endpoints: [endpoint(origin.port, { ready: false })] }])
      const client = protocol.open(proxy.port)
      const waiting = within(client.request({ path: '/w/x', body: 'kept' }))
      await new Promise(resolve => setTimeout(resolve, 200))
      assert.equal(origin.accepted(), 0)
      await proxy.setTable([{ ...route, endpoints: [endpoint(origin.port)] }])
      const { value, tookMs } = await waiting
      client.close()
      assert.deepEqual([value.status, JSON.parse(value.body).body], [200, 'kept'])
      assert.ok(tookMs >= 199 && tookMs < 8000, `${tookMs} ms`)
      await proxy.stop()
      await origin.close()
    })

    it(`${protocol.name}: when hold is over it is 503 with Retry-After`, async () => {
      const proxy = await startTestProxy([{ prefix: '/w/', holdMs: 200, endpoints: [endpoint(await closedPort(), { ready: false })] }])
      const client = protocol.open(proxy.port)
      const { value, tookMs } = await within(client.request({ path: '/w/x' }))
      client.close()
      assert.deepEqual([value.status, value.headers['retry-after'], JSON.parse(value.body).error.code], [503, '1', 'UPSTREAM_NONE_READY'])
      assert.ok(tookMs >= 199 && tookMs < 8000, `${tookMs} ms`)
      await proxy.stop()
    })
  }

  it('nobody waits for an upstream that nobody wants up', async () => {
    const proxy = await startTestProxy([{ prefix: '/w/', holdMs: 10_000, expected: false }])
    const { value, tookMs } = await within(http1Request(proxy.port, { path: '/w/x' }))
    assert.equal(value.status, 503)
    assert.ok(tookMs < 5000, `${tookMs} ms`)
    await proxy.stop()
  })

  it('a request that waits is answered at once when its upstream stops being wanted', async () => {
    const route = { prefix: '/w/', holdMs: 10_000 }
    const proxy = await startTestProxy([route])
    const waiting = within(http1Request(proxy.port, { path: '/w/x' }))
    await new Promise(resolve => setTimeout(resolve, 100))
    await proxy.setTable([{ ...route, expected: false }])
    const { value, tookMs } = await waiting
    assert.equal(value.status, 503)
    assert.ok(tookMs < 5000, `${tookMs} ms`)
    await proxy.stop()
  })

  it('a request that waits when its route is taken out is 404', async () => {
    const proxy = await startTestProxy([{ prefix: '/w/', holdMs: 10_000 }])
    const waiting = http1Request(proxy.port, { path: '/w/x' })
    await new Promise(resolve => setTimeout(resolve, 100))
    await proxy.setTable([])
    assert.equal((await waiting).status, 404)
    await proxy.stop()
  })

  it('a service that is ready by the table but does not listen yet gets its calls when it does', async () => {
    const port = await closedPort()
    const proxy = await startTestProxy([{ prefix: '/e/', protocol: 'h2c', holdMs: 10_000, endpoints: [endpoint(port)] }])
    const client = echoClient(proxy.port, '/e/')
    const calls = Promise.all(Array.from({ length: 20 }, () => unary(client, 'unary', Buffer.from('x'))))
    await new Promise(resolve => setTimeout(resolve, 300))
    const server = await echoServer('late', port)
    assert.deepEqual(
      (await calls).map(result => result.code),
      Array.from({ length: 20 }, () => 0),
    )
    client.close()
    await proxy.stop()
    server.stop()
  })

  it('a client that leaves while it waits is forgotten', async t => {
    const directory = mkdtempSync(join(tmpdir(), 'guard-hold-'))
    t.after(() => rmSync(directory, { recursive: true, force: true }))
    const path = join(directory, 'access.log')
    const origin = await http1Origin()
    const route = { prefix: '/w/', holdMs: 10_000 }
    const proxy = await startTestProxy([route], { accessLog: { path, format: 'json', maxBytes: 0, backups: 0 } })
    const socket = netConnect(proxy.port, '127.0.0.1')
    socket.write('GET /w/gone HTTP/1.1\r\nHost: h\r\n\r\n')
    await once(socket, 'connect')
    // Answered: what was there before it has been read.
    assert.equal((await http1Request(proxy.port, { path: '/health' })).status, 200)
    socket.destroy()
    // It could have ended its direction only: that it has gone is found out by asking it.
    await until(() => logLines(path).some(line => JSON.parse(line).end === 'client_gone'))
    await proxy.setTable([{ ...route, endpoints: [endpoint(origin.port)] }])
    assert.equal((await http1Request(proxy.port, { path: '/w/here' })).status, 200)
    assert.deepEqual(
      origin.seen.map(seen => seen.target),
      ['/here'],
    )
    await proxy.stop()
    await origin.close()
  })

  it(`the waiting room has ${MAX_HELD} places; the next request is told so at once`, async () => {
    const origin = await http1Origin()
    const route = { prefix: '/w/', holdMs: 20_000 }
    const proxy = await startTestProxy([route], { maxStreams: MAX_HELD })
    const clients = [h2cClient(proxy.port), h2cClient(proxy.port)]
    const held = clients.flatMap(client => Array.from({ length: MAX_HELD / 2 }, () => client.request({ path: '/w/x' })))
    // Streams of one connection are taken in order: when this one is answered, those before it wait.
    for (const client of clients) await client.request({ path: '/health' })
    const text = await rawExchange(proxy.port, 'GET /w/x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
    assert.equal(statusOf(text), 503)
    assert.match(text, /REQUEST_QUEUE_FULL/)
    await proxy.setTable([{ ...route, endpoints: [endpoint(origin.port)] }])
    const answers = await Promise.all(held)
    assert.ok(answers.every(answer => answer.status === 200))
    for (const client of clients) client.close()
    await proxy.stop()
    await origin.close()
  })

  it('a service that accepts and says nothing counts as unreachable after connectTimeout', async () => {
    // It accepts and says nothing: for HTTP/2 there is no connection before the peer's SETTINGS.
    const origin = await rawOrigin(socket => socket.resume().on('end', () => socket.end()))
    const proxy = await startTestProxy([
      { prefix: '/e/', protocol: 'h2c', connectTimeoutMs: 150, holdMs: 0, endpoints: [endpoint(origin.port)] },
    ])
    const client = echoClient(proxy.port, '/e/')
    const { value, tookMs } = await within(unary(client, 'unary', Buffer.from('x')))
    assert.equal(value.code, 14)
    assert.match(value.details, /UPSTREAM_UNREACHABLE/)
    assert.ok(tookMs >= 149 && tookMs < 4500, `${tookMs} ms`)
    client.close()
    await until(() => origin.open() === 0)
    await proxy.stop()
    await origin.close()
  })
})
