// Section F, row 73: an answer that two readers could understand differently is 502 (gRPC: 13), and its connection serves nobody else.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { FLAG, frame, message, TYPE } from '../h2-frames.js'
import { type Origin, rawOrigin } from '../origins.js'
import { endpoint, startTestProxy, type TestProxy, until } from '../start-proxy.js'
import { FrameClient, request, type StreamAnswer } from './h2-client.js'
import { recordHttp2 } from './h2-recorder.js'
import { plainAnswer } from './recorder.js'
import { answersOf, exchange } from './rig.js'
import { HTTP1_ANSWERS, HTTP2_ANSWERS } from './rows-answers.js'

/** Answers the first request with these bytes and then is silent on that connection; on others it is sound. */
async function hostileService(bytes: string): Promise<{ origin: Origin; firstIsGone(): boolean; askedAgain(): boolean }> {
  let count = 0
  let isGone = false
  let again = false
  const origin = await rawOrigin(socket => {
    const isFirst = count++ === 0
    let answered = false
    socket.setNoDelay(true)
    socket.on('data', chunk => {
      if (isFirst && answered && /HTTP\/1\.1\r\n/.test(chunk.toString('latin1'))) again = true
      if (isFirst && !answered) socket.write(Buffer.from(bytes, 'latin1'))
      else if (!isFirst && chunk.includes('\r\n\r\n')) {
        socket.write(plainAnswer({ method: 'GET', target: 'good', fields: [], framing: 'none', body: '', trailers: [] }))
      }
      answered = true
    })
    socket.on('end', () => socket.end())
    socket.on('close', () => {
      if (isFirst) isGone = true
    })
  })
  return { origin, firstIsGone: () => isGone, askedAgain: () => again }
}

async function askHttp1(port: number): Promise<{ status: number; body: string }> {
  const text = await exchange(port, 'GET /w/evil HTTP/1.1\r\nHost: h\r\n\r\n', { enough: soFar => answersOf(soFar).length > 0 })
  return answersOf(text)[0]!
}

async function askHttp2(port: number): Promise<StreamAnswer> {
  const client = await FrameClient.open(port)
  const answer = await client.get('/w/evil')
  client.close()
  return answer
}

async function callGrpc(port: number): Promise<StreamAnswer> {
  const client = await FrameClient.open(port)
  const fields = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' }
  const id = client.headers(request('/w/evil', fields), 'more')
  client.send(frame(TYPE.DATA, FLAG.END_STREAM, id, message('x')))
  const answer = await client.settled(id)
  client.close()
  return answer
}

function isGrpcRefusal(answer: StreamAnswer): void {
  assert.deepEqual([answer.status, answer.headOnly, answer.resetCode], [200, true, null])
  assert.ok(answer.fields.includes('grpc-status: 13'), answer.fields.join('\n'))
}

/** A polite request gets its own answer and nothing of the hostile one, from the same worker. */
async function isServed(proxy: TestProxy, pid: number): Promise<void> {
  const text = await exchange(proxy.port, 'GET /w/polite HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
  assert.match(text, /^HTTP\/1\.1 200 [\s\S]*\r\n\r\n(good|\/polite)$/)
  assert.deepEqual(
    proxy.status().workers.map(worker => worker.pid),
    [pid],
  )
}

describe('row 73: hostile answers in HTTP/1.1', () => {
  let proxy: TestProxy
  let pid = 0
  before(async () => {
    proxy = await startTestProxy([])
    pid = proxy.status().workers[0]!.pid
  })
  after(() => proxy.stop())

  for (const row of HTTP1_ANSWERS) {
    const clients = { http1: askHttp1, h2c: askHttp2, grpc: callGrpc }
    for (const [name, ask] of Object.entries(clients)) {
      if (name === 'grpc' && row.grpc === null) continue
      it(`${name}: ${row.title}`, async () => {
        const { origin, firstIsGone, askedAgain } = await hostileService(row.bytes)
        await proxy.setTable([{ prefix: '/w/', endpoints: [endpoint(origin.port)] }])
        const answer = await ask(proxy.port)
        if (name === 'grpc') isGrpcRefusal(answer as StreamAnswer)
        else {
          assert.ok(row.statuses.includes(answer.status), `${answer.status}`)
          if (answer.status === 200) assert.equal(answer.body, row.body)
        }
        await until(firstIsGone)
        await isServed(proxy, pid)
        assert.equal(askedAgain(), false, 'the connection was used again')
        await origin.close()
      })
    }
  }

  it('bytes that come later on a kept connection end it, and the next request has its own answer', async () => {
    let first: { write(text: string): void } | null = null
    const origin = await rawOrigin(socket => {
      first ??= socket
      socket.setNoDelay(true)
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood'))
      socket.on('end', () => socket.end())
    })
    await proxy.setTable([{ prefix: '/w/', endpoints: [endpoint(origin.port)] }])
    assert.equal((await askHttp1(proxy.port)).body, 'good')
    assert.equal(origin.open(), 1)
    first!.write('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison')
    await until(() => origin.open() === 0)
    await isServed(proxy, pid)
    await origin.close()
  })
})

describe('row 73: hostile answers in HTTP/2', () => {
  let proxy: TestProxy
  let pid = 0
  before(async () => {
    proxy = await startTestProxy([])
    pid = proxy.status().workers[0]!.pid
  })
  after(() => proxy.stop())

  for (const row of HTTP2_ANSWERS) {
    const clients = { http1: askHttp1, h2c: askHttp2, grpc: callGrpc }
    for (const [name, ask] of Object.entries(clients)) {
      it(`${name}: ${row.title}`, async () => {
        const recorder = await recordHttp2({
          answer: ({ connection, id, heard }) => {
            if (heard.target === '/evil') connection.socket.write(Buffer.concat(row.frames(id)))
            else {
              const length = String(heard.target.length)
              connection.respond(
                id,
                [
                  [':status', '200'],
                  ['content-length', length],
                ],
                heard.target,
              )
            }
          },
        })
        await proxy.setTable([{ prefix: '/w/', protocol: 'h2c', endpoints: [endpoint(recorder.port)] }])
        const answer = await ask(proxy.port)
        if (name === 'grpc') isGrpcRefusal(answer as StreamAnswer)
        else assert.equal(answer.status, 502)
        // In HTTP/2 the fault is the stream's: it is reset, or with it the connection goes.
        await until(() => recorder.streams.every(stream => stream.resetCode !== null) || recorder.open() === 0)
        await isServed(proxy, pid)
        await recorder.close()
      })
    }
  }
})
