// WebSocket through the proxy: the upgrade, messages both ways, closes, and every way it can be refused.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as netConnect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { rawExchange, statusOf } from './clients.js'
import { closedPort, http1Origin, type Origin, rawOrigin, valuesOf } from './origins.js'
import { endpoint, startTestProxy, type TestProxy, until } from './start-proxy.js'

const UPGRADE =
  'GET /ws/x HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

describe('WebSocket', () => {
  let server: WebSocketServer
  let proxy: TestProxy
  let closes: number[] = []
  before(async () => {
    server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: protocols => [...protocols][0] ?? false })
    await once(server, 'listening')
    server.on('connection', (socket, request) => {
      socket.on('error', () => {})
      socket.on('close', code => closes.push(code))
      if (request.url === '/greet') socket.send(`hello ${valuesOf(request.rawHeaders, 'x-forwarded-for')}`)
      socket.on('message', (data, isBinary) => {
        if (String(data) === 'close') socket.close(4001, 'asked')
        else if (String(data) === 'die') socket.terminate()
        else socket.send(data, { binary: isBinary })
      })
    })
    const { port } = server.address() as { port: number }
    proxy = await startTestProxy([
      { prefix: '/ws/', endpoints: [endpoint(await closedPort()), endpoint(port)] },
      { prefix: '/down/', endpoints: [endpoint(await closedPort())] },
      { prefix: '/grpc/', protocol: 'h2c', endpoints: [endpoint(await closedPort())] },
    ])
  })
  after(async () => {
    await proxy.stop()
    for (const socket of server.clients) socket.terminate()
    server.close()
  })
  const open = async (path: string) => {
    const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}${path}`)
    socket.on('error', () => {})
    await once(socket, 'open')
    return socket
  }

  it('what the service sends right behind its 101 arrives, with the client’s address told to it', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/ws/greet`)
    const [data] = await once(socket, 'message')
    assert.equal(String(data), 'hello 127.0.0.1')
    socket.terminate()
  })

  it('text, binary, empty and megabyte messages come back as they were', async () => {
    const socket = await open('/ws/x')
    for (const message of ['text', '', Buffer.from([0, 255, 1]), Buffer.alloc(1 << 20, 7)]) {
      const echo = once(socket, 'message')
      socket.send(message)
      const [data, isBinary] = await echo
      assert.equal(isBinary, Buffer.isBuffer(message))
      assert.ok(Buffer.from(message as Buffer).equals(data as Buffer))
    }
    socket.terminate()
  })

  it('the subprotocol is agreed end to end', async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/ws/x`, ['chat.v2', 'chat.v1'])
    await once(socket, 'open')
    assert.equal(socket.protocol, 'chat.v2')
    socket.terminate()
  })

  it('a close from either side arrives with its code', async () => {
    closes = []
    const mine = await open('/ws/x')
    mine.close(4000)
    await until(() => closes.includes(4000))
    const theirs = await open('/ws/x')
    const closed = once(theirs, 'close')
    theirs.send('close')
    assert.equal((await closed)[0], 4001)
  })

  it('a side that dies without a close is gone for the other: 1006', async () => {
    closes = []
    const mine = await open('/ws/x')
    mine.terminate()
    await until(() => closes.includes(1006))
    const theirs = await open('/ws/x')
    const closed = once(theirs, 'close')
    theirs.send('die')
    assert.equal((await closed)[0], 1006)
  })

  it('200 sockets at once echo, and are all gone when their clients are', async () => {
    const sockets = await Promise.all(Array.from({ length: 200 }, () => open('/ws/x')))
    await Promise.all(
      sockets.map(async (socket, at) => {
        const echo = once(socket, 'message')
        socket.send(String(at))
        assert.equal(String((await echo)[0]), String(at))
      }),
    )
    for (const socket of sockets) socket.terminate()
    await until(() => server.clients.size === 0)
  })

  for (const [title, path, status] of [
    ['no route', '/nowhere/x', 404],
    ['no reachable service', '/down/x', 503],
    ['an h2c route, which is asked without the upgrade', '/grpc/x', 503],
  ] as const) {
    it(`an upgrade to ${title} is answered ${status}`, async () => {
      assert.equal(statusOf(await rawExchange(proxy.port, UPGRADE.replace('/ws/x', path))), status)
    })
  }

  it('a service that answers an upgrade without 101 is passed on as it is', async () => {
    const origin = await http1Origin((_request, response) => {
      response.writeHead(426, { 'x-why': 'no' })
      response.end('not here')
    })
    const own = await startTestProxy([{ prefix: '/ws/', endpoints: [endpoint(origin.port)] }])
    const text = await rawExchange(own.port, UPGRADE)
    assert.equal(statusOf(text), 426)
    assert.match(text, /x-why: no[\s\S]*not here/)
    await own.stop()
    await origin.close()
  })

  it('bytes the client sends before the 101 are not lost', async () => {
    const origin: Origin = await rawOrigin(socket => {
      let text = ''
      socket.on('data', chunk => {
        text += chunk.toString('latin1')
        const at = text.indexOf('\r\n\r\n')
        if (at === -1) return
        if (text.length === at + 4)
          setTimeout(() => socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'), 100)
        if (text.endsWith('early')) socket.write('got it')
      })
    })
    const own = await startTestProxy([{ prefix: '/ws/', endpoints: [endpoint(origin.port)] }])
    assert.match(await rawExchange(own.port, `${UPGRADE}early`, text => text.endsWith('got it')), /got it$/)
    await own.stop()
    await origin.close()
  })

  it('a client that leaves during the upgrade is seen by the service', async () => {
    const origin = await rawOrigin(socket => socket.resume().on('end', () => socket.end()))
    const own = await startTestProxy([{ prefix: '/ws/', endpoints: [endpoint(origin.port)] }])
    const socket = netConnect(own.port, '127.0.0.1')
    socket.write(UPGRADE)
    await until(() => origin.open() === 1)
    socket.destroy()
    await until(() => origin.open() === 0)
    await own.stop()
    await origin.close()
  })

  it('a reader that stalls stops the writer on the other side', async () => {
    let sent = 0
    const origin = await rawOrigin(socket => {
      socket.once('data', () => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n')
        const block = Buffer.alloc(1 << 18)
        const push = () => {
          do sent += block.length
          while (socket.write(block) && sent < 1 << 28)
        }
        socket.on('drain', push)
        push()
      })
    })
    const own = await startTestProxy([{ prefix: '/ws/', endpoints: [endpoint(origin.port)] }])
    const socket = netConnect(own.port, '127.0.0.1')
    socket.write(UPGRADE)
    socket.pause()
    let last = 0
    let since = performance.now()
    await until(() => {
      if (sent !== last) since = performance.now()
      last = sent
      return sent > 0 && performance.now() - since > 300
    })
    assert.ok(sent < 64 << 20, `${sent} bytes went into buffers`)
    socket.destroy()
    await own.stop()
    await origin.close()
  })
})
