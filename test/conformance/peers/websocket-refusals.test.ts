// Tunnels between protocols that do not come about, or end in the middle: what either side is told, and what of the bytes arrives.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { closedPort, http1Origin, http2Origin, type Origin, rawOrigin } from '../origins.js'
import { endpoint, startTestProxy, type TestProxy, until } from '../start-proxy.js'
import { type Asked, h2cTunneller, h2cTunnels, http1Tunneller, http1Tunnels, type TunnelClient, type TunnelService } from './tunnel-ends.js'

const MIB = 1 << 20

describe('tunnels that do not come about', () => {
  const origins: Origin[] = []
  let http1: TunnelService
  let h2c: TunnelService
  let proxy: TestProxy
  let overH2: TunnelClient
  let overHttp1: TunnelClient
  let switched = ''
  before(async () => {
    http1 = await http1Tunneller()
    h2c = await h2cTunneller()
    const page = await http1Origin((_request, response) => response.end('a page'))
    const unproved = await rawOrigin(socket => {
      socket.once('data', () => socket.write(switched))
    })
    const unable = await http2Origin(stream => stream.respond({ ':status': 200 }))
    origins.push(page, unproved, unable)
    proxy = await startTestProxy([
      { prefix: '/one/', endpoints: [endpoint(http1.port)] },
      { prefix: '/two/', protocol: 'h2c', endpoints: [endpoint(h2c.port)] },
      { prefix: '/page/', endpoints: [endpoint(page.port)] },
      { prefix: '/unproved/', endpoints: [endpoint(unproved.port)] },
      { prefix: '/unable/', protocol: 'h2c', endpoints: [endpoint(unable.port)] },
      { prefix: '/down/', endpoints: [endpoint(await closedPort())] },
      { prefix: '/down2/', protocol: 'h2c', endpoints: [endpoint(await closedPort())] },
    ])
    overH2 = await h2cTunnels(proxy.port)
    overHttp1 = http1Tunnels(proxy.port)
  })
  after(async () => {
    overH2.close()
    await proxy.stop()
    await Promise.all([http1, h2c, ...origins].map(each => each.close()))
  })

  const told = async ({ status, stream }: Asked) => {
    const chunks: Buffer[] = []
    for await (const chunk of stream) chunks.push(chunk as Buffer)
    const body = String(Buffer.concat(chunks))
    return [status, body.startsWith('{') ? JSON.parse(body).error.code : body]
  }

  // To an HTTP/2 client any 2xx would say that the tunnel is there.
  it('a page (200) for an upgrade goes to an HTTP/1 client as it is, and is 502 for an HTTP/2 client', async () => {
    assert.deepEqual(await told(await overHttp1.ask('/page/x')), [200, 'a page'])
    assert.deepEqual(await told(await overHttp1.ask('/one/plain')), [200, 'a page'])
    assert.deepEqual(await told(await overH2.ask('/page/x')), [502, 'UPSTREAM_PROTOCOL'])
    assert.deepEqual(await told(await overH2.ask('/one/plain')), [502, 'UPSTREAM_PROTOCOL'])
  })

  it('a 101 with a wrong proof, or none, is not agreement: 502 for the client that cannot check it', async () => {
    for (const proof of ['', 'sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n']) {
      switched = `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n${proof}\r\n`
      assert.deepEqual(await told(await overH2.ask('/unproved/x')), [502, 'UPSTREAM_PROTOCOL'])
    }
  })

  it('an HTTP/2 service that has not announced Extended CONNECT is not asked: 502', async () => {
    for (const client of [overHttp1, overH2]) {
      const asked = await client.ask('/unable/x')
      assert.deepEqual(await told(asked), [502, 'UPSTREAM_PROTOCOL'])
    }
  })

  it('a service that is not there is 503, in either protocol', async () => {
    for (const client of [overHttp1, overH2]) {
      for (const path of ['/down/x', '/down2/x']) assert.deepEqual(await told(await client.ask(path)), [503, 'UPSTREAM_UNREACHABLE'])
    }
  })

  for (const [path, service] of [
    ['/one/raw', () => http1],
    ['/two/raw', () => h2c],
  ] as const) {
    it(`bytes that an HTTP/2 client sends before the agreement arrive behind it, at ${path}`, async () => {
      const heard = new Promise<string>(resolve => {
        service().accept = stream => void readAll(stream.on('end', () => stream.end())).then(all => resolve(String(all)))
      })
      const asking = overH2.ask(path, {}, Buffer.from('early '))
      const { status, stream } = await asking
      assert.equal(status, 200)
      ;(stream as Duplex).resume().end('and late')
      assert.equal(await heard, 'early and late')
    })

    it(`the last bytes towards a slow service arrive, though both sides have ended, at ${path}`, async () => {
      for (const client of [overHttp1, overH2]) {
        let atService: Duplex | null = null
        service().accept = stream => {
          atService = stream.pause()
          stream.end('bye')
        }
        const stream = await client.tunnel(path)
        stream.end(Buffer.alloc(MIB, 9))
        assert.equal(String(await readAll(stream)), 'bye')
        await until(() => atService !== null)
        await new Promise(resolve => setTimeout(resolve, 100))
        assert.equal((await readAll(atService!)).length, MIB)
      }
    })
  }

  it('a service that breaks a tunnel off breaks it for the client, too: no end that looks like one in order', async () => {
    for (const [path, service] of [
      ['/one/raw', http1],
      ['/two/raw', h2c],
    ] as const) {
      service.accept = stream => {
        stream.write('begun')
        // When the agreement has reached the client: a reset would overtake it.
        setTimeout(() => breakOff(stream), 300)
      }
      const stream = await overH2.tunnel(path)
      // Not `once`: it would throw the error of the reset.
      await new Promise(resolve => stream.resume().on('close', resolve))
      assert.notEqual((stream as unknown as { rstCode: number }).rstCode, 0, path)
    }
  })
})

/** RST, not an end. */
function breakOff(stream: Duplex): void {
  const { resetAndDestroy, close } = stream as unknown as { resetAndDestroy?: () => void; close?: (code: number) => void }
  if (resetAndDestroy !== undefined) resetAndDestroy.call(stream)
  else close?.call(stream, 2)
}

async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = []
  stream.on('data', chunk => chunks.push(chunk as Buffer)).resume()
  await once(stream, 'end')
  return Buffer.concat(chunks)
}
