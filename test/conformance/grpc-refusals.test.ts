// What a gRPC client is told when the answer is no gRPC, when the proxy itself says no, and what a service is told when the client leaves.
import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { after, before, describe, it } from 'node:test'
import { type Answer, h2cRequest } from './clients.js'
import { type EchoClient, echoClient, unary } from './grpc-echo.js'
import { frameOrigin, message, TYPE } from './h2-frames.js'
import { closedPort, http2Origin, type Origin, rawOrigin } from './origins.js'
import { endpoint, startTestProxy, type TestProxy, until } from './start-proxy.js'

const CALL = { method: 'POST', headers: { 'content-type': 'application/grpc', te: 'trailers' }, body: message('hello').toString('latin1') }

describe('answers that are no gRPC', () => {
  for (const [http, status] of [
    [400, 13],
    [401, 16],
    [403, 7],
    [404, 12],
    [429, 14],
    [431, 13],
    [500, 2],
    [502, 14],
    [503, 14],
    [504, 14],
    [200, 2],
  ] as const) {
    it(`HTTP ${http} text/plain is grpc-status ${status}, told in one head`, async () => {
      const origin = await http2Origin(stream => {
        stream.respond({ ':status': http, 'content-type': 'text/plain' })
        stream.end('no')
      })
      const proxy = await startTestProxy([{ prefix: '/s/', protocol: 'h2c', endpoints: [endpoint(origin.port)] }])
      const session = connect(`http://127.0.0.1:${proxy.port}`)
      const answer = await h2cRequest(session, { ...CALL, path: '/s/x.Y/Z' })
      session.destroy()
      assert.deepEqual([answer.status, answer.headers['grpc-status'], answer.headOnly, answer.body], [200, String(status), true, ''])
      assert.match(String(answer.headers['grpc-message']), new RegExp(`HTTP ${http}`))
      await proxy.stop()
      await origin.close()
    })
  }
})

describe('refusals of the proxy itself', () => {
  let proxy: TestProxy
  let client: EchoClient
  let notHttp2: Origin
  const ask = async (path: string, headers = CALL.headers as Record<string, string>): Promise<Answer> => {
    const session = connect(`http://127.0.0.1:${proxy.port}`)
    const answer = await h2cRequest(session, { ...CALL, headers, path })
    session.destroy()
    return answer
  }
  before(async () => {
    notHttp2 = await rawOrigin(socket => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    const h2c = { protocol: 'h2c' as const }
    proxy = await startTestProxy([
      { prefix: '/down/', ...h2c, endpoints: [endpoint(await closedPort())] },
      { prefix: '/none/', ...h2c, endpoints: [endpoint(await closedPort(), { ready: false })] },
      { prefix: '/web/', ...h2c, grpcWeb: false, endpoints: [endpoint(await closedPort(), { ready: false })] },
      { prefix: '/other/', ...h2c, endpoints: [endpoint(notHttp2.port)] },
    ])
    client = echoClient(proxy.port, '/none/')
  })
  after(async () => {
    client.close()
    await proxy.stop()
    await notHttp2.close()
  })

  for (const [title, path, status, http] of [
    ['an unknown prefix', '/nowhere/x.Y/Z', 12, 404],
    ['no ready endpoint', '/none/x.Y/Z', 14, 503],
    ['a refused connection', '/down/x.Y/Z', 14, 503],
    ['a service that does not speak HTTP/2', '/other/x.Y/Z', 13, 502],
    ['a dot segment', '/none/../other/x', 13, 400],
  ] as const) {
    it(`${title} is grpc-status ${status} in one head to a gRPC client, HTTP ${http} with JSON to any other`, async () => {
      const told = await ask(path)
      assert.deepEqual([told.status, told.headers['grpc-status'], told.headOnly], [200, String(status), true])
      assert.equal(told.headers['content-length'], undefined)
      const plain = await ask(path, {})
      assert.equal(plain.status, http)
      assert.ok(JSON.parse(plain.body).error.hint.length > 0)
    })
  }

  it("the caller's own content type comes back: application/grpc+proto", async () => {
    const told = await ask('/none/x.Y/Z', { 'content-type': 'application/grpc+proto', te: 'trailers' })
    assert.equal(told.headers['content-type'], 'application/grpc+proto')
  })

  it('gRPC-Web on a route that does not translate it is not gRPC: it gets the plain form', async () => {
    const told = await ask('/web/x.Y/Z', { 'content-type': 'application/grpc-web+proto' })
    assert.equal(told.status, 503)
  })

  it('grpc-js reads the refusal as UNAVAILABLE with the facts', async () => {
    const result = await unary(client, 'unary', Buffer.from('x'))
    assert.equal(result.code, 14)
    assert.match(result.details, /0 of 1 endpoints ready/)
  })
})

describe('the client leaves', () => {
  it('a reset from the client is RST CANCEL to the service, and so is a lost connection', async () => {
    const resets: number[] = []
    let requests = 0
    const origin = await frameOrigin({
      request: () => requests++,
      frame: (_connection, frame) => frame.type === TYPE.RST && resets.push(frame.payload.readUInt32BE(0)),
    })
    const proxy = await startTestProxy([{ prefix: '/s/', protocol: 'h2c', endpoints: [endpoint(origin.port)] }])
    const session = connect(`http://127.0.0.1:${proxy.port}`)
    session.on('error', () => {})
    const open = () => {
      const stream = session.request({ ':method': 'POST', ':path': '/s/x', 'content-type': 'application/grpc' })
      stream.on('error', () => {})
      return stream
    }
    const first = open()
    open()
    await until(() => requests === 2)
    first.close(8)
    await until(() => resets.length === 1)
    session.destroy()
    await until(() => resets.length === 2)
    assert.deepEqual(resets, [8, 8])
    await proxy.stop()
    await origin.close()
  })
})
