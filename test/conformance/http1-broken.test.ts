// Peers that stall, leave, lie or die in the middle: the other side is told the truth, and nothing is kept for them.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect as netConnect } from 'node:net'
import { describe, it } from 'node:test'
import { http1Client, http1Request, PROTOCOLS } from './clients.js'
import { http1Origin, rawOrigin } from './origins.js'
import { endpoint, startTestProxy, until } from './start-proxy.js'

describe('back-pressure', () => {
  for (const protocol of PROTOCOLS) {
    it(`${protocol.name}: a client that does not read stops the service, and the worker's memory stays`, async () => {
      let written = 0
      const origin = await http1Origin((_request, response) => {
        const block = Buffer.alloc(1 << 20)
        const push = () => {
          while (response.write(block) && written < 512 << 20) written += block.length
        }
        response.on('drain', () => {
          written += block.length
          push()
        })
        push()
      })
      const proxy = await startTestProxy([{ prefix: '/w/', endpoints: [endpoint(origin.port)] }])
      const socket = netConnect(proxy.port, '127.0.0.1')
      if (protocol.name === 'http1') socket.write('GET /w/x HTTP/1.1\r\nHost: h\r\n\r\n')
      else {
        const { connect } = await import('node:http2')
        const session = connect('http://h', { createConnection: () => socket })
        session.on('error', () => {})
        session.request({ ':path': '/w/x' }).on('error', () => {})
      }
      await once(socket, 'connect')
      socket.pause()
      let last = -1
      let since = 0
      await until(() => {
        const now = performance.now()
        if (written !== last) since = now
        last = written
        return written > 0 && now - since > 300
      })
      assert.ok(written < 64 << 20, `${written} bytes went into buffers`)
      assert.ok(proxy.status().workers[0]!.rssBytes < 200 << 20)
      socket.destroy()
      await until(() => origin.open() === 0)
      await proxy.stop()
      await origin.close()
    })
  }
})

describe('broken peers', () => {
  const cut: [string, string][] = [
    ['a body shorter than its length', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort'],
    ['a chunked body without its end', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n'],
  ]
  for (const protocol of PROTOCOLS) {
    for (const [title, bytes] of cut) {
      it(`${protocol.name}: ${title} is an error to the client, never a clean end`, async () => {
        const origin = await rawOrigin(socket => socket.once('data', () => socket.end(bytes)))
        const proxy = await startTestProxy([{ prefix: '/w/', endpoints: [endpoint(origin.port)] }])
        const client = protocol.open(proxy.port)
        await assert.rejects(client.request({ path: '/w/x' }))
        client.close()
        await proxy.stop()
        await origin.close()
      })
    }
  }

  it('HTTP/1.0: a cut body ends with a reset, because a close would be its clean end', async () => {
    let cut = () => {}
    const origin = await rawOrigin(socket =>
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nshort\r\n')
        cut = () => socket.end()
      }),
    )
    const proxy = await startTestProxy([{ prefix: '/w/', endpoints: [endpoint(origin.port)] }])
    const socket = netConnect(proxy.port, '127.0.0.1')
    socket.write('GET /w/x HTTP/1.0\r\nHost: h\r\n\r\n')
    let text = ''
    let last = ''
    socket.on('data', chunk => {
      text += chunk
    })
    socket.on('end', () => {
      last = 'end'
    })
    socket.on('error', error => {
      last = (error as NodeJS.ErrnoException).code ?? ''
    })
    // Cut when the client has read what there was: libuv tells a reset that it finds together with bytes as an end.
    await until(() => text.endsWith('short'))
    cut()
    await until(() => last !== '')
    assert.equal(last, 'ECONNRESET')
    await proxy.stop()
    await origin.close()
  })

  for (const [title, bytes, status] of [
    ['closes without a word', '', 502],
    ['speaks no HTTP', 'SSH-2.0-OpenSSH_9\r\n', 502],
    ['answers with both length and chunks', 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n', 502],
    ['answers 101 to a request without Upgrade', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n', 502],
  ] as const) {
    it(`a service that ${title} is ${status}`, async () => {
      const origin = await rawOrigin(socket => socket.once('data', () => socket.end(bytes)))
      const proxy = await startTestProxy([{ prefix: '/w/', endpoints: [endpoint(origin.port)] }])
      assert.equal((await http1Request(proxy.port, { path: '/w/x', body: 'x' })).status, status)
      await proxy.stop()
      await origin.close()
    })
  }

  it('a kept connection that the service has closed meanwhile costs a GET nothing', async () => {
    const origin = await rawOrigin(socket => {
      let count = 0
      socket.on('data', () => {
        if (++count === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
        // The second request on a connection meets its reset, as one that crosses a closing does.
        else socket.resetAndDestroy()
      })
    })
    const proxy = await startTestProxy([{ prefix: '/w/', endpoints: [endpoint(origin.port)] }])
    const client = http1Client(proxy.port)
    for (let at = 0; at < 4; at++) assert.equal((await client.request({ path: '/w/x' })).status, 200)
    assert.equal((await client.request({ path: '/w/x', body: 'not twice' })).status, 502)
    await proxy.stop()
    await origin.close()
  })

  for (const protocol of PROTOCOLS) {
    it(`${protocol.name}: a client that leaves is seen by the service`, async () => {
      let gone = 0
      let begun = 0
      const origin = await http1Origin((_request, response) => {
        begun++
        response.on('close', () => gone++)
        response.write('begun')
      })
      const proxy = await startTestProxy([{ prefix: '/w/', endpoints: [endpoint(origin.port)] }])
      const socket = netConnect(proxy.port, '127.0.0.1')
      socket.on('error', () => {})
      if (protocol.name === 'http1') socket.write('GET /w/x HTTP/1.1\r\nHost: h\r\n\r\n')
      else {
        const { connect } = await import('node:http2')
        const session = connect('http://h', { createConnection: () => socket })
        session.on('error', () => {})
        session.request({ ':path': '/w/x' }).on('error', () => {})
      }
      await until(() => begun === 1)
      socket.destroy()
      await until(() => gone === 1 && origin.open() === 0)
      await proxy.stop()
      await origin.close()
    })
  }

  for (const protocol of PROTOCOLS) {
    it(`${protocol.name}: a service that is silent longer than timeout is 504, and its request is given up`, async () => {
      const origin = await http1Origin(() => {})
      const proxy = await startTestProxy([{ prefix: '/w/', timeoutMs: 150, endpoints: [endpoint(origin.port)] }])
      const client = protocol.open(proxy.port)
      const begun = performance.now()
      const answer = await client.request({ path: '/w/x' })
      const tookMs = performance.now() - begun
      client.close()
      assert.equal(answer.status, 504)
      assert.ok(tookMs >= 149 && tookMs < 4500, `${tookMs} ms`)
      await until(() => origin.open() === 0)
      await proxy.stop()
      await origin.close()
    })
  }

  it('a slow upload is no timeout as long as it moves', async () => {
    const origin = await http1Origin()
    const proxy = await startTestProxy([{ prefix: '/w/', timeoutMs: 800, endpoints: [endpoint(origin.port)] }])
    const request = httpRequest({ host: '127.0.0.1', port: proxy.port, path: '/w/x', method: 'POST', agent: false })
    for (let at = 0; at < 6; at++) {
      request.write('x')
      await new Promise(resolve => setTimeout(resolve, 180))
    }
    request.end()
    const [answer] = await once(request, 'response')
    assert.equal(answer.statusCode, 200)
    answer.resume()
    await proxy.stop()
    await origin.close()
  })
})
