// Both halves back to back over loopback: what goes in comes out, in order, in bounds, and the truth where one side breaks.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { WINDOW_BYTES } from '../../../src/proxy/stream.js'
import { Http1Pool } from '../../../src/proxy/upstream/http1-pool.js'
import { answering, type Door, dial, LIMITS, openDoor, openService, Relay, until } from './loopback.js'

const GET = 'GET /a HTTP/1.1\r\nHost: h\r\n\r\n'

async function relayTo(port: number): Promise<{ door: Door; pool: Http1Pool; relays: Relay[] }> {
  const pool = new Http1Pool({ host: '127.0.0.1', port }, LIMITS)
  const relays: Relay[] = []
  const door = await openDoor(stream => relays.push(new Relay(stream, pool)))
  after(() => pool.retire())
  return { door, pool, relays }
}

describe('node’s client, the relay and node’s server', () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks)
    if (request.headers['x-chunked'] === undefined) response.setHeader('content-length', body.length)
    else response.setHeader('trailer', 'x-sum')
    response.setHeader('x-method', request.method!)
    response.setHeader('x-sum-up', String(request.trailers['x-sum']))
    if (request.headers['x-chunked'] !== undefined) response.addTrailers({ 'x-sum': String(body.length) })
    response.end(body)
  })
  let port = 0
  let pool: Http1Pool
  before(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const relay = await relayTo((server.address() as AddressInfo).port)
    port = relay.door.port
    pool = relay.pool
  })
  after(() => {
    agent.destroy()
    server.close()
    server.closeAllConnections()
  })

  const ask = async (method: string, body: Buffer, isChunked: boolean) => {
    const headers: Record<string, string> = isChunked ? { 'x-chunked': 'yes', trailer: 'x-sum' } : { 'content-length': String(body.length) }
    const request = httpRequest({ port, host: '127.0.0.1', path: '/a', method, headers, agent })
    if (isChunked) request.addTrailers({ 'x-sum': String(body.length) })
    request.end(body)
    const [answer] = (await once(request, 'response')) as [IncomingMessage]
    const chunks: Buffer[] = []
    for await (const chunk of answer) chunks.push(chunk as Buffer)
    return { answer, body: Buffer.concat(chunks) }
  }

  for (const size of [0, 1, 1000, 65_535, 65_536, 65_537, 300_000, 8 << 20]) {
    for (const framing of ['by length', 'in chunks'] as const) {
      it(`${size} bytes go up and come back ${framing}`, async () => {
        const sent = Buffer.alloc(size, 'The quick brown fox')
        const { answer, body } = await ask('POST', sent, framing === 'in chunks')
        assert.equal(answer.statusCode, 200)
        assert.ok(sent.equals(body))
        if (framing === 'in chunks' && size > 0)
          assert.deepEqual([answer.headers['x-sum-up'], answer.trailers['x-sum']], [String(size), String(size)])
      })
    }
  }

  it('200 at once over few connections do not mix', async () => {
    await Promise.all(
      Array.from({ length: 200 }, async (_, number) => {
        const sent = Buffer.alloc(number * 100, String(number))
        const { body } = await ask(number % 2 === 0 ? 'PUT' : 'POST', sent, number % 3 === 0)
        assert.ok(sent.equals(body), `number ${number}`)
      }),
    )
    assert.equal(pool.load, 0)
  })
})

describe('a stalled peer', () => {
  it('a client that does not read stops the service; memory stays within the windows', async () => {
    let written = 0
    const service = await openService(socket => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
        const block = Buffer.from(`10000\r\n${'b'.repeat(65_536)}\r\n`)
        const push = () => {
          do written += block.length
          while (socket.write(block) && written < 256 << 20)
        }
        socket.on('drain', push)
        push()
      })
    })
    const { door } = await relayTo(service.port)
    const clients = await Promise.all(Array.from({ length: 8 }, () => dial(door.port)))
    const before = process.memoryUsage().arrayBuffers
    for (const client of clients) {
      client.socket.pause()
      client.send(GET)
    }
    let last = -1
    let since = performance.now()
    await until(() => {
      if (written !== last) since = performance.now()
      last = written
      return written > 0 && performance.now() - since > 300
    })
    const held = process.memoryUsage().arrayBuffers - before
    // Blocked output, a window and a read more in our wires; the service’s own blocks and what no collection has met yet are counted, too.
    assert.ok(held < clients.length * 6 * WINDOW_BYTES, `${held} bytes are held for ${clients.length} stalled clients`)
    for (const client of clients) client.socket.destroy()
    await until(() => service.open() === 0)
  })
})

describe('the truth about a broken peer', () => {
  for (const [title, bytes, http10] of [
    ['a body shorter than its length', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort', false],
    ['a chunked body without its end', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n', false],
    ['a chunked body without its end, to HTTP/1.0', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n', true],
  ] as const) {
    it(`${title} ends with a reset`, async () => {
      const service = await openService(socket => socket.once('data', () => socket.end(bytes)))
      const { door, relays } = await relayTo(service.port)
      const client = await dial(door.port)
      client.send(http10 ? GET.replace('1.1', '1.0') : GET)
      assert.equal(await client.ended(), 'ECONNRESET')
      assert.equal(relays[0]!.failures[0]?.code, 'UPSTREAM_BROKEN')
      await until(() => door.closed === 1)
    })
  }

  it('a client that leaves is told to the service at once', async () => {
    const service = await openService(socket =>
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegun')),
    )
    const { door, relays, pool } = await relayTo(service.port)
    const client = await dial(door.port)
    client.send(GET)
    await client.until(text => text.endsWith('begun'))
    client.socket.resetAndDestroy()
    await until(() => service.open() === 0)
    assert.deepEqual([relays[0]!.gone, pool.load], [['reset'], 0])
  })

  it('a service that answers before the body is complete: its answer counts, for both sides in order', async () => {
    const service = await openService(answering('HTTP/1.1 413 Too Much\r\nContent-Length: 2\r\n\r\nno'))
    const { door } = await relayTo(service.port)
    const client = await dial(door.port)
    client.send('POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nhalf')
    await client.until(text => text.endsWith('no'))
    client.send('b'.repeat(99_996) + GET)
    await client.until(text => text.match(/413/g)?.length === 2)
    assert.equal(service.sockets.length, 2)
  })
})

describe('a tunnel', () => {
  it('carries both directions, early bytes first, and half-closes across', async () => {
    const service = await openService(socket => {
      let text = ''
      socket.on('data', chunk => {
        text += chunk.toString('latin1')
        if (text.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
      })
      socket.on('end', () => socket.end(`you said ${text.slice(text.indexOf('\r\n\r\n') + 4)}`))
    })
    const { door, pool } = await relayTo(service.port)
    const client = await dial(door.port)
    client.send('GET /a HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly')
    await client.until(text => text.includes('101'))
    client.socket.end(' and late')
    assert.match(await client.until(), /you said early and late$/)
    await until(() => door.closed === 1 && pool.load === 0)
  })
})
