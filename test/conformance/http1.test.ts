// HTTP/1.1 as a polite client and a polite service use it: keep-alive, bodies, trailers, 100-continue, back-pressure, broken peers.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect as netConnect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { http1Request, PROTOCOLS, rawExchange, readUntil, statusOf } from './clients.js'
import { http1Origin, http2Origin, type Origin, rawOrigin, readBody, valuesOf } from './origins.js'
import { endpoint, startTestProxy, type TestProxy } from './start-proxy.js'

describe('HTTP/1.1 through the proxy', () => {
  let origin: Origin
  let proxy: TestProxy
  before(async () => {
    origin = await http1Origin((request, response) => {
      const url = new URL(request.url!, 'http://x')
      if (url.pathname === '/status') {
        response.writeHead(Number(url.search.slice(1)), { 'x-a': 'b' })
        response.end()
      } else if (url.pathname === '/trailers') {
        response.writeHead(200, { trailer: 'x-sum' })
        response.write('body')
        response.addTrailers({ 'x-sum': '42' })
        response.end()
      } else if (url.pathname === '/twice') {
        response.writeHead(200, ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'X-Order', '1', 'X-Order', '2'])
        response.end('ok')
      } else if (url.pathname === '/hints') {
        response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' })
        response.end('ok')
      } else if (url.pathname === '/close') {
        response.writeHead(200, { connection: 'close' })
        response.end('bye'.repeat(100_000))
      } else {
        void readBody(request).then(body =>
          response.end(JSON.stringify({ method: request.method, fields: request.rawHeaders, body, trailers: request.rawTrailers })),
        )
      }
    })
    proxy = await startTestProxy([{ prefix: '/w/', endpoints: [endpoint(origin.port)] }])
  })
  after(async () => {
    await proxy.stop()
    await origin.close()
  })

  for (const protocol of PROTOCOLS) {
    for (const status of [200, 201, 204, 304, 400, 404, 418, 500, 503]) {
      it(`${protocol.name}: status ${status} and its headers come through`, async () => {
        const client = protocol.open(proxy.port)
        const answer = await client.request({ path: `/w/status?${status}` })
        client.close()
        assert.deepEqual([answer.status, answer.headers['x-a'], answer.body], [status, 'b', ''])
      })
    }
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      it(`${protocol.name}: ${method} arrives as ${method}`, async () => {
        const client = protocol.open(proxy.port)
        const answer = await client.request({ path: '/w/x', method })
        client.close()
        assert.equal(answer.status, 200)
        if (method === 'HEAD') assert.equal(answer.body, '')
        else assert.equal(JSON.parse(answer.body).method, method)
      })
    }
    for (const method of ['GET', 'POST', 'DELETE', 'PATCH']) {
      it(`${protocol.name}: a ${method} with a body keeps its length`, async () => {
        const client = protocol.open(proxy.port)
        const answer = await client.request({ path: '/w/x', method, body: 'twelve bytes', headers: { 'content-length': '12' } })
        client.close()
        const seen = JSON.parse(answer.body)
        assert.deepEqual(
          [seen.body, valuesOf(seen.fields, 'content-length'), valuesOf(seen.fields, 'transfer-encoding')],
          ['twelve bytes', ['12'], []],
        )
      })
    }
    it(`${protocol.name}: a body of unknown length arrives chunked, with its trailers`, async () => {
      const client = protocol.open(proxy.port)
      const headers: Record<string, string> = protocol.name === 'http1' ? { 'transfer-encoding': 'chunked' } : {}
      const answer = await client.request({ path: '/w/x', method: 'POST', headers, body: 'abc', trailers: { 'x-end': 'yes' } })
      client.close()
      const seen = JSON.parse(answer.body)
      assert.deepEqual(
        [seen.body, valuesOf(seen.fields, 'transfer-encoding'), valuesOf(seen.trailers, 'x-end')],
        ['abc', ['chunked'], ['yes']],
      )
    })
    if (protocol.name === 'h2c')
      it('h2c: a body of known length keeps it, trailers behind it end here, and the next request is not touched by them', async () => {
        const client = protocol.open(proxy.port)
        for (const round of ['first', 'second']) {
          const headers = { 'content-length': '3', trailer: 'x-end' }
          const answer = await client.request({ path: '/w/x', method: 'POST', headers, body: 'abc', trailers: { 'x-end': 'yes' } })
          const seen = JSON.parse(answer.body)
          assert.deepEqual([seen.body, valuesOf(seen.fields, 'content-length'), seen.trailers], ['abc', ['3'], []], round)
          assert.deepEqual([valuesOf(seen.fields, 'trailer'), valuesOf(seen.fields, 'transfer-encoding')], [[], []], round)
        }
        client.close()
      })
    it(`${protocol.name}: an answer's trailers reach a client that can take them`, async () => {
      const client = protocol.open(proxy.port)
      const asked = await client.request({ path: '/w/trailers', headers: { te: 'trailers' } })
      const silent = await client.request({ path: '/w/trailers' })
      client.close()
      // Over HTTP/2 a trailer is a frame of its own: nobody needs to ask for it.
      const unasked = protocol.name === 'http1' ? undefined : '42'
      assert.deepEqual(
        [asked.body, { ...asked.trailers }['x-sum'], silent.body, { ...silent.trailers }['x-sum']],
        ['body', '42', 'body', unasked],
      )
    })
    it(`${protocol.name}: doubled fields stay doubled and in order`, async () => {
      const client = protocol.open(proxy.port)
      const answer = await client.request({ path: '/w/twice' })
      client.close()
      assert.deepEqual(answer.headers['set-cookie'], ['a=1', 'b=2'])
      assert.equal(answer.headers['x-order'], '1, 2')
    })
    it(`${protocol.name}: 103 early hints come before the answer`, async () => {
      const client = protocol.open(proxy.port)
      const answer = await client.request({ path: '/w/hints' })
      client.close()
      assert.deepEqual([answer.informational, answer.body], [[103], 'ok'])
    })
    it(`${protocol.name}: a service that closes its connection after each answer loses no byte`, async () => {
      const client = protocol.open(proxy.port)
      for (let at = 0; at < 3; at++) assert.equal((await client.request({ path: '/w/close' })).body.length, 300_000)
      client.close()
    })
    it(`${protocol.name}: 8 MB go up and come back`, async () => {
      const client = protocol.open(proxy.port)
      const answer = await client.request({ path: '/w/x', method: 'POST', body: Buffer.alloc(8 << 20, 'z') })
      client.close()
      assert.equal(JSON.parse(answer.body).body.length, 8 << 20)
    })
  }

  it('a cookie in crumbs is one field to an HTTP/1 service', async () => {
    const client = PROTOCOLS[1]!.open(proxy.port)
    const answer = await client.request({ path: '/w/x', headers: { cookie: ['a=1', 'b=2'] } })
    client.close()
    assert.deepEqual(valuesOf(JSON.parse(answer.body).fields, 'cookie'), ['a=1; b=2'])
  })

  it('both sides keep their connection over 50 requests', async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const before = origin.accepted()
    const locals = new Set<number | undefined>()
    for (let at = 0; at < 50; at++) {
      await new Promise<void>((resolve, reject) => {
        const request = httpRequest({ host: '127.0.0.1', port: proxy.port, path: '/w/x', agent }, answer => {
          locals.add(answer.socket.localPort)
          answer.resume().on('end', resolve)
        })
        request.on('error', reject).end()
      })
    }
    agent.destroy()
    assert.deepEqual([locals.size, origin.accepted() - before <= 1], [1, true])
  })

  it('two pipelined requests get two answers in order', async () => {
    const bytes = 'GET /w/status?201 HTTP/1.1\r\nHost: h\r\n\r\nGET /w/status?418 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n'
    const text = await rawExchange(proxy.port, bytes)
    assert.deepEqual(text.match(/HTTP\/1\.1 [0-9]+/g), ['HTTP/1.1 201', 'HTTP/1.1 418'])
  })

  it('HTTP/1.0 gets an answer that ends with the connection', async () => {
    const text = await rawExchange(proxy.port, 'GET /w/status?200 HTTP/1.0\r\nHost: h\r\n\r\n')
    assert.equal(statusOf(text), 200)
    assert.doesNotMatch(text, /transfer-encoding/i)
  })

  it('a request in one-byte writes is a request', async () => {
    const socket = netConnect({ port: proxy.port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    for (const byte of 'POST /w/x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok') {
      socket.write(byte)
      await new Promise(resolve => setImmediate(resolve))
    }
    assert.match(await readUntil(socket, () => false), /"body":"ok"/)
  })
})

describe('Expect: 100-continue', () => {
  for (const verdict of ['continue', 'refuse'] as const) {
    it(`the service's ${verdict} reaches the client before the body is sent`, async () => {
      const origin = await rawOrigin(socket => {
        socket.once('data', head => {
          assert.match(String(head), /expect: 100-continue/i)
          if (verdict === 'refuse') socket.end('HTTP/1.1 413 Payload Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
          else {
            socket.write('HTTP/1.1 100 Continue\r\n\r\n')
            socket.once('data', body => socket.end(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`))
          }
        })
      })
      const proxy = await startTestProxy([{ prefix: '/w/', endpoints: [endpoint(origin.port)] }])
      const headers = { expect: '100-continue', 'content-length': '4' }
      const request = httpRequest({ host: '127.0.0.1', port: proxy.port, path: '/w/x', method: 'POST', headers, agent: false })
      request.on('error', () => {})
      request.on('continue', () => request.end('body'))
      request.flushHeaders()
      const [answer] = await once(request, 'response')
      assert.equal(answer.statusCode, verdict === 'continue' ? 200 : 413)
      if (verdict === 'continue') assert.equal(await readBody(answer as IncomingMessage), 'body')
      request.destroy()
      await proxy.stop()
      await origin.close()
    })
  }
})

describe('HTTP/1.1 to an h2c service', () => {
  it('a plain client calls it: fields, body and trailers cross over', async () => {
    const origin = await http2Origin((stream, raw) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        stream.respond(
          { ':status': 200, 'x-path': raw[raw.indexOf(':path') + 1], 'x-host': raw[raw.indexOf(':authority') + 1] },
          { waitForTrailers: true },
        )
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
        stream.end(Buffer.concat(chunks))
      })
    })
    const proxy = await startTestProxy([{ prefix: '/g/', protocol: 'h2c', endpoints: [endpoint(origin.port)] }])
    const answer = await http1Request(proxy.port, { path: '/g/a?b', body: 'hello', headers: { host: 'my.host', te: 'trailers' } })
    assert.deepEqual(
      [answer.status, answer.body, answer.headers['x-path'], answer.headers['x-host'], answer.trailers['grpc-status']],
      [200, 'hello', '/a?b', 'my.host', '0'],
    )
    const silent = await http1Request(proxy.port, { path: '/g/a', body: 'hello' })
    assert.deepEqual([silent.body, silent.trailers['grpc-status']], ['hello', undefined])
    await proxy.stop()
    await origin.close()
  })
})
