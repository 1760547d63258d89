// grpc-timeout is enforced here, told onwards as what is left of it, and a broken one is nobody's business but the service's.
import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { after, before, describe, it } from 'node:test'
import { h2cRequest } from './clients.js'
import { echoClient, unary } from './grpc-echo.js'
import { frameOrigin, message, TYPE } from './h2-frames.js'
import { http2Origin, type Origin } from './origins.js'
import { endpoint, startTestProxy, type TestProxy, until } from './start-proxy.js'

const GRPC = { 'content-type': 'application/grpc', te: 'trailers' }

describe('deadlines', () => {
  let silent: Origin
  let proxy: TestProxy
  let forwarded: string[] = []
  let resets: number[] = []
  let requests = 0
  let talk = false

  before(async () => {
    silent = await frameOrigin({
      request: () => requests++,
      ended: (connection, id) => {
        if (!talk) return
        connection.grpcHead(id)
        connection.data(id, message('begun'))
      },
      frame: (_connection, frame) => frame.type === TYPE.RST && resets.push(frame.payload.readUInt32BE(0)),
    })
    proxy = await startTestProxy([
      { prefix: '/s/', protocol: 'h2c', timeoutMs: 30_000, endpoints: [endpoint(silent.port)] },
      { prefix: '/quiet/', protocol: 'h2c', timeoutMs: 600, endpoints: [endpoint(silent.port)] },
      { prefix: '/none/', protocol: 'h2c', holdMs: 30_000 },
    ])
  })
  after(async () => {
    await proxy.stop()
    await silent.close()
  })

  const call = async (path: string, headers: Record<string, string>) => {
    const session = connect(`http://127.0.0.1:${proxy.port}`)
    const begun = performance.now()
    const answer = await h2cRequest(session, {
      method: 'POST',
      path,
      headers: { ...GRPC, ...headers },
      body: message('x').toString('latin1'),
    })
    const tookMs = performance.now() - begun
    session.destroy()
    return { answer, tookMs }
  }

  for (const [text, ms] of [
    ['200m', 200],
    ['150000u', 150],
    ['99000000n', 99],
  ] as const) {
    it(`grpc-timeout ${text} and a silent service: status 4 in one head at ${ms} ms, CANCEL to the service`, async () => {
      resets = []
      talk = false
      const { answer, tookMs } = await call('/s/x', { 'grpc-timeout': text })
      assert.deepEqual([answer.status, answer.headers['grpc-status'], answer.headOnly], [200, '4', true])
      assert.ok(tookMs >= ms - 1 && tookMs < ms + 3000, `${tookMs} ms`)
      await until(() => resets.length === 1)
      assert.deepEqual(resets, [8])
    })
  }

  it('a deadline that passes in the middle of an answer ends it with trailers 4', async () => {
    talk = true
    const { answer } = await call('/s/x', { 'grpc-timeout': '600m' })
    assert.deepEqual([answer.headOnly, answer.trailers['grpc-status'], answer.body.endsWith('begun')], [false, '4', true])
  })

  it('a call without a deadline that is silent for the route’s timeout is 14, before and after the head', async () => {
    talk = false
    const before = await call('/quiet/x', {})
    assert.deepEqual([before.answer.headers['grpc-status'], before.answer.headOnly], ['14', true])
    talk = true
    const after = await call('/quiet/x', {})
    assert.equal(after.answer.trailers['grpc-status'], '14')
    assert.ok(after.tookMs >= 599)
  })

  it('a deadline also ends a call that waits for an endpoint', async () => {
    const { answer, tookMs } = await call('/none/x', { 'grpc-timeout': '100m' })
    assert.equal(answer.headers['grpc-status'], '4')
    assert.ok(tookMs >= 99 && tookMs < 15_000, `${tookMs} ms`)
  })

  it('grpc-js sees DEADLINE_EXCEEDED', async () => {
    talk = false
    const client = echoClient(proxy.port, '/s/')
    assert.equal((await unary(client, 'unary', Buffer.from('x'), { deadlineMs: 150 })).code, 4)
    client.close()
  })

  it('the service is told what is left, never more; a malformed one goes through as it is and is not enforced', async () => {
    const origin = await http2Origin((stream, raw) => {
      forwarded = raw.filter((_, at) => raw[at - 1] === 'grpc-timeout')
      stream.resume()
      stream.on('end', () =>
        stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '0' }, { endStream: true }),
      )
    })
    const own = await startTestProxy([{ prefix: '/s/', protocol: 'h2c', endpoints: [endpoint(origin.port)] }])
    const session = connect(`http://127.0.0.1:${own.port}`)
    const told = async (timeout: string) => {
      await h2cRequest(session, { path: '/s/x', headers: { ...GRPC, 'grpc-timeout': timeout }, body: 'x' })
      return forwarded
    }
    const [left] = await told('5S')
    const match = /^([0-9]{1,8})u$/.exec(left!)
    assert.ok(match !== null && Number(match[1]) < 5_000_000 && Number(match[1]) > 3_000_000, left)
    for (const odd of ['1', '123456789S', '-1S', '1.5S', '5 S', 'S']) assert.deepEqual(await told(odd), [odd])
    session.destroy()
    await own.stop()
    await origin.close()
  })

  it('200 calls at once with 250 ms to a silent service all end as 4, and the service sees a CANCEL for every one that reached it', async () => {
    resets = []
    requests = 0
    talk = false
    const session = connect(`http://127.0.0.1:${proxy.port}`)
    // The connections are there: what is measured is the calls. One to the service is made by this first call.
    await h2cRequest(session, { path: '/s/x', headers: { ...GRPC, 'grpc-timeout': '250m' }, body: 'x' })
    const calls = Array.from({ length: 200 }, () =>
      h2cRequest(session, { path: '/s/x', headers: { ...GRPC, 'grpc-timeout': '250m' }, body: 'x' }),
    )
    const codes = (await Promise.all(calls)).map(answer => answer.headers['grpc-status'])
    assert.deepEqual(new Set(codes), new Set(['4']))
    await until(() => resets.length === requests)
    assert.ok(requests > 100, `${requests} reached the service`)
    assert.deepEqual(new Set(resets), new Set([8]))
    session.destroy()
  })
})
