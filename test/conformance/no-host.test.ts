// HTTP/1.0 without Host, as ab, old health checkers and nginx with its defaults send it: what goes on is well-formed all the same (RFC 9112 3.2, row 28).
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo, Server } from 'node:net'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { rawExchange, statusOf } from './clients.js'
import { endpoint, startTestProxy, type TestProxy } from './start-proxy.js'

/** What a service heard of whom it was asked as; undefined: nothing. */
interface Heard {
  authority: string | undefined
  forwardedHost: string | undefined
  forwarded: string | undefined
}

describe('a request that names no host', () => {
  const servers: Server[] = []
  let proxy: TestProxy
  let ports: { http1: number; h2c: number }
  let origin: Server
  let heard: Heard[] = []

  before(async () => {
    origin = createServer({ requireHostHeader: true }, (incoming: IncomingMessage, response) => {
      const { host, 'x-forwarded-host': forwardedHost, forwarded } = incoming.headers
      heard.push({ authority: host, forwardedHost: forwardedHost as string | undefined, forwarded })
      response.end('ok')
    })
    const streams = createHttp2Server()
    streams.on('stream', (stream, headers) => {
      heard.push({
        authority: headers[':authority'],
        forwardedHost: headers['x-forwarded-host'] as string | undefined,
        forwarded: headers.forwarded,
      })
      stream.respond({ ':status': 200 })
      stream.end('ok')
    })
    const port = async (server: Server) => {
      servers.push(server)
      await once(server.listen(0, '127.0.0.1'), 'listening')
      return (server.address() as AddressInfo).port
    }
    ports = { http1: await port(origin), h2c: await port(streams) }
    proxy = await startTestProxy([])
    const local = createServer((incoming, response) => origin.emit('request', incoming, response))
    servers.push(local)
    const path = join(proxy.directory, 'web.sock')
    await once(local.listen(path), 'listening')
    await proxy.setTable([
      { prefix: '/one/', endpoints: [endpoint(ports.http1)] },
      { prefix: '/two/', protocol: 'h2c', endpoints: [endpoint(ports.h2c)] },
      { prefix: '/local/', endpoints: [endpoint(0, { address: { socket: path } })] },
    ])
  })
  after(async () => {
    await proxy.stop()
    for (const server of servers) server.close()
  })

  const ask = async (head: string): Promise<[number, Heard | undefined]> => {
    heard = []
    const status = statusOf(await rawExchange(proxy.port, `${head}\r\n\r\n`))
    return [status, heard[0]]
  }

  const NOBODY = { forwardedHost: undefined, forwarded: undefined }
  for (const [title, path, authority] of [
    ['an HTTP/1.1 service gets the Host of its endpoint', '/one/x', () => `127.0.0.1:${ports.http1}`],
    ['an HTTP/2 service gets its endpoint as :authority', '/two/x', () => `127.0.0.1:${ports.h2c}`],
    ['a service on a unix socket is called localhost', '/local/x', () => 'localhost'],
  ] as const) {
    it(`HTTP/1.0: ${title}, and hears of no X-Forwarded-Host`, async () => {
      assert.deepEqual(await ask(`GET ${path} HTTP/1.0`), [200, { authority: authority(), ...NOBODY }])
    })
    it(`HTTP/1.0 with Host: ${path} gets that`, async () => {
      const answer = await ask(`GET ${path} HTTP/1.0\r\nHost: example.org:81`)
      assert.deepEqual(answer, [200, { authority: 'example.org:81', forwardedHost: 'example.org:81', forwarded: undefined }])
    })
    it(`HTTP/1.0 with an absolute target: ${path} gets whom that names`, async () => {
      const answer = await ask(`GET http://example.org${path} HTTP/1.0`)
      assert.deepEqual(answer, [200, { authority: 'example.org', forwardedHost: 'example.org', forwarded: undefined }])
    })
    for (const [what, head] of [
      ['HTTP/1.1 without Host', `GET ${path} HTTP/1.1`],
      ['HTTP/1.1 with an absolute target and without Host', `GET http://example.org${path} HTTP/1.1`],
      ['HTTP/1.0 with an empty Host', `GET ${path} HTTP/1.0\r\nHost:`],
      ['HTTP/1.0 with an absolute target that names nobody', `GET http://${path} HTTP/1.0`],
      ['HTTP/1.0 with userinfo in an absolute target', `GET http://a@example.org${path} HTTP/1.0`],
      ['HTTP/1.0 with an absolute target and another Host', `GET http://example.org${path} HTTP/1.0\r\nHost: other.org`],
    ]) {
      it(`${what} is 400, and nothing reaches ${path}`, async () => {
        assert.deepEqual(await ask(head!), [400, undefined])
      })
    }
  }

  it('Forwarded has no host then', async () => {
    await proxy.settings({ forwarded: 'forwarded' })
    const [status, said] = await ask('GET /one/x HTTP/1.0')
    assert.deepEqual([status, said?.forwarded], [200, 'for=127.0.0.1;proto=http'])
  })
})
