// HTTP/2 itself: streams side by side, forms that must survive, requests that must not.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:http2'
import { after, before, describe, it } from 'node:test'
import { h2cClient, h2cRequest } from './clients.js'
import { FLAG, frame, frameOrigin, TYPE, uint32 } from './h2-frames.js'
import { http2Origin, type Origin } from './origins.js'
import { endpoint, startTestProxy, type TestProxy, until } from './start-proxy.js'

describe('h2c to h2c', () => {
  let seen: { raw: string[]; body: string; trailers: string[] }[] = []
  let origin: Origin
  let proxy: TestProxy
  before(async () => {
    origin = await http2Origin((stream, raw) => {
      const path = raw[raw.indexOf(':path') + 1]!
      if (path === '/empty') {
        stream.respond(
          { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '5', 'grpc-message': 'a%20b%zz' },
          { endStream: true },
        )
        return
      }
      if (path === '/early') {
        stream.respond({ ':status': 200 }, { waitForTrailers: true })
        stream.on('wantTrailers', () => {
          stream.sendTrailers({ 'x-done': '1' })
          setImmediate(() => stream.close(0))
        })
        stream.end('early')
        return
      }
      const chunks: Buffer[] = []
      let trailers: string[] = []
      stream.on('trailers', (_trailers: object, _flags: number, rawTrailers: string[]) => {
        trailers = rawTrailers
      })
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        seen.push({ raw, body: Buffer.concat(chunks).toString(), trailers })
        stream.respond({ ':status': 200, 'x-many': ['1', '2'] })
        stream.end(Buffer.concat(chunks))
      })
    })
    proxy = await startTestProxy([{ prefix: '/g/', protocol: 'h2c', endpoints: [endpoint(origin.port)] }])
  })
  after(async () => {
    await proxy.stop()
    await origin.close()
  })

  it('a head that is the whole answer stays one frame, its fields untouched', async () => {
    const client = h2cClient(proxy.port)
    const answer = await client.request({ path: '/g/empty', method: 'POST', headers: { 'content-type': 'application/grpc' }, body: '' })
    client.close()
    assert.deepEqual([answer.headOnly, answer.headers['grpc-status'], answer.headers['grpc-message']], [true, '5', 'a%20b%zz'])
    assert.equal(answer.headers['content-length'], undefined)
  })

  it('request trailers arrive, equal fields stay apart and in order, te is exactly trailers', async () => {
    seen = []
    const client = h2cClient(proxy.port)
    const headers = { 'x-many-bin': ['AAE', 'AAE='], te: 'trailers', cookie: ['a=1', 'b=2'] }
    await client.request({ path: '/g/x', body: 'b', headers, trailers: { 'x-sum': '9' } })
    client.close()
    const { raw, trailers } = seen[0]!
    const values = (name: string) => raw.filter((_, at) => raw[at - 1] === name && at % 2 === 1)
    assert.deepEqual([values('x-many-bin'), values('te'), values('cookie')], [['AAE', 'AAE='], ['trailers'], ['a=1', 'b=2']])
    assert.deepEqual(trailers, ['x-sum', '9'])
    assert.deepEqual([values(':authority'), values('host')], [[`127.0.0.1:${proxy.port}`], []])
  })

  it('a request that ends with its head reaches the service as one', async () => {
    const ends: number[] = []
    const frames = await frameOrigin({
      frame: (_connection, one) => one.type === TYPE.HEADERS && ends.push(one.flags & FLAG.END_STREAM),
      ended: (connection, id) => connection.headers(id, [[':status', '204']], 'end'),
    })
    const own = await startTestProxy([{ prefix: '/g/', protocol: 'h2c', endpoints: [endpoint(frames.port)] }])
    const client = h2cClient(own.port)
    assert.equal((await client.request({ path: '/g/x' })).status, 204)
    client.close()
    assert.deepEqual(ends, [FLAG.END_STREAM])
    await own.stop()
    await frames.close()
  })

  it('an answer that is complete before the request is ends with RST NO_ERROR, and the connection lives', async () => {
    const session = connect(`http://127.0.0.1:${proxy.port}`)
    session.on('error', () => {})
    const stream = session.request({ ':method': 'POST', ':path': '/g/early' })
    stream.on('error', () => {})
    let body = ''
    let trailers: Record<string, unknown> = {}
    stream.on('data', chunk => {
      body += chunk
    })
    stream.on('trailers', got => {
      trailers = got
    })
    stream.write('never ended')
    await once(stream, 'close')
    assert.deepEqual([body, trailers['x-done'], stream.rstCode], ['early', '1', 0])
    assert.equal((await h2cRequest(session, { path: '/g/x' })).status, 200)
    session.destroy()
  })

  it('late frames of a finished stream disturb no other: 300 early answers, all good', async () => {
    const session = connect(`http://127.0.0.1:${proxy.port}`)
    session.on('error', () => {})
    for (let at = 0; at < 300; at++) {
      const early = session.request({ ':method': 'POST', ':path': '/g/early' })
      early.on('error', () => {})
      early.resume()
      early.write('x')
      assert.equal((await h2cRequest(session, { path: '/g/x' })).status, 200)
    }
    session.destroy()
  })

  it('one stalled stream does not hold up the others of its connection', async () => {
    const big = await http2Origin((stream, raw) => {
      stream.respond({ ':status': 200 })
      stream.end(raw[raw.indexOf(':path') + 1] === '/big' ? Buffer.alloc(32 << 20) : 'small')
    })
    const own = await startTestProxy([{ prefix: '/g/', protocol: 'h2c', endpoints: [endpoint(big.port)] }])
    const session = connect(`http://127.0.0.1:${own.port}`)
    session.on('error', () => {})
    const stalled = session.request({ ':path': '/g/big' })
    stalled.on('error', () => {})
    await once(stalled, 'response')
    stalled.pause()
    // The client's own connection window must not be what stops the small ones.
    session.setLocalWindowSize(64 << 20)
    for (let at = 0; at < 20; at++) assert.equal((await h2cRequest(session, { path: '/g/small' })).body, 'small')
    session.destroy()
    await own.stop()
    await big.close()
  })

  it('a service that allows 2 streams at a time gets 20 calls, never more than 2 together on a connection', async () => {
    let worst = 0
    const open = new Map<number, number>()
    const frames = await frameOrigin({
      settings: Buffer.concat([Buffer.from([0, 3]), uint32(2)]),
      request: connection => {
        open.set(connection.number, (open.get(connection.number) ?? 0) + 1)
        worst = Math.max(worst, open.get(connection.number)!)
      },
      ended: (connection, id) =>
        setTimeout(() => {
          open.set(connection.number, open.get(connection.number)! - 1)
          connection.ok(id, 'x')
        }, 5),
    })
    const own = await startTestProxy([{ prefix: '/g/', protocol: 'h2c', endpoints: [endpoint(frames.port)] }])
    const client = h2cClient(own.port)
    const answers = await Promise.all(Array.from({ length: 20 }, () => client.request({ path: '/g/x' })))
    client.close()
    assert.ok(answers.every(answer => answer.status === 200))
    assert.ok(worst <= 2, `${worst} at once`)
    await own.stop()
    await frames.close()
  })

  it('an upstream PING is answered with its own bytes', async () => {
    let pong: Buffer | null = null
    const frames = await frameOrigin({
      request: connection => connection.socket.write(frame(TYPE.PING, 0, 0, Buffer.from('12345678'))),
      ended: (connection, id) => connection.ok(id, 'x'),
      frame: (_connection, one) => {
        if (one.type === TYPE.PING && one.flags === FLAG.ACK) pong = one.payload
      },
    })
    const own = await startTestProxy([{ prefix: '/g/', protocol: 'h2c', endpoints: [endpoint(frames.port)] }])
    const client = h2cClient(own.port)
    await client.request({ path: '/g/x' })
    await until(() => pong !== null)
    assert.equal(String(pong), '12345678')
    client.close()
    await own.stop()
    await frames.close()
  })

  it('a client PING is answered, and 100 of them cost it nothing', async () => {
    const session = connect(`http://127.0.0.1:${proxy.port}`)
    await once(session, 'remoteSettings')
    for (let at = 0; at < 100; at++)
      await new Promise<void>((resolve, reject) => session.ping(error => (error ? reject(error) : resolve())))
    assert.equal((await h2cRequest(session, { path: '/g/x' })).status, 200)
    session.destroy()
  })

  it('500 polite cancels, one after the other, get no GOAWAY', async () => {
    const silent = await http2Origin(() => {})
    const own = await startTestProxy([{ prefix: '/g/', protocol: 'h2c', endpoints: [endpoint(silent.port)] }])
    const session = connect(`http://127.0.0.1:${own.port}`)
    let goaway = 0
    session.on('goaway', () => goaway++)
    session.on('error', () => {})
    for (let at = 0; at < 500; at++) {
      const stream = session.request({ ':method': 'POST', ':path': '/g/x' })
      stream.on('error', () => {})
      await new Promise(resolve => setImmediate(resolve))
      stream.close(8)
      await once(stream, 'close')
    }
    assert.deepEqual([goaway, session.closed], [0, false])
    session.destroy()
    await own.stop()
    await silent.close()
  })
})
