// A service on Python's grpcio behind the proxy, called by grpc-js and by grpcio.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Metadata } from '@grpc/grpc-js'
import { Grpcio, noGrpcio, PYTHON } from '../grpc/grpcio.js'
import { type EchoClient, echoClient, unary } from '../grpc-echo.js'
import { endpoint, startTestProxy, type TestProxy } from '../start-proxy.js'
import { type Program, startProgram } from './program.js'

const SCRIPT = fileURLToPath(new URL('../../../../test/conformance/peers/grpcio_service.py', import.meta.url))

describe('a service on grpcio', { skip: noGrpcio }, () => {
  let service: Program
  let proxy: TestProxy
  let client: EchoClient
  before(async () => {
    service = await startProgram(PYTHON, port => [SCRIPT, String(port)])
    proxy = await startTestProxy([{ prefix: '/s/', protocol: 'h2c', endpoints: [endpoint(service.port)], timeoutMs: 10_000 }])
    client = echoClient(proxy.port, '/s/')
  })
  after(async () => {
    client?.close()
    await proxy?.stop()
    await service?.stop()
  })

  it('grpc-js: unary with text and binary metadata at both ends', async () => {
    const metadata = new Metadata()
    metadata.add('x-ask', 'one')
    metadata.add('x-ask-bin', Buffer.from([0, 255]))
    const { code, reply, initial, trailing } = await unary(client, 'unary', Buffer.alloc(3_000_000, 5), { metadata })
    assert.deepEqual([code, reply?.length, reply?.at(-1)], [0, 3_000_000, 5])
    assert.deepEqual([initial.get('x-told'), initial.get('x-told-bin')], [['one'], [Buffer.from([0, 255])]])
    assert.deepEqual([trailing.get('server'), trailing.get('x-trail-bin')], [['grpcio'], [Buffer.from([0, 255, 10])]])
  })

  it('grpc-js: the three kinds of streams', async () => {
    const collected = await new Promise<Buffer>((resolve, reject) => {
      const call = client.collect(new Metadata(), (error, reply) => (error ? reject(error) : resolve(reply!)))
      for (const part of ['a', 'b', 'c']) call.write(Buffer.from(part))
      call.end()
    })
    assert.equal(String(collected), 'abc')
    const expanded: number[] = []
    for await (const part of client.expand(Buffer.from([1, 2, 3]))) expanded.push(part[0])
    assert.deepEqual(expanded, [1, 2, 3])
    const chat = client.chat()
    for (const word of ['x', '', 'z'.repeat(100_000)]) {
      const echo = once(chat, 'data')
      chat.write(Buffer.from(word))
      assert.equal(String((await echo)[0]), word)
    }
    const status = once(chat, 'status')
    chat.end()
    assert.equal((await status)[0].code, 0)
  })

  it('grpc-js: errors, their words and trailers; an unknown method; a deadline', async () => {
    // StatusCode's ninth is FAILED_PRECONDITION, 9; node:http2 joins the fields of one name.
    const failed = await unary(client, 'fail', Buffer.from([9]))
    assert.deepEqual([failed.code, failed.details, failed.trailing.get('x-why').join(', ')], [9, 'line\r\nand ☺ 😈', 'one, two'])
    assert.equal((await unary(client, 'missing', Buffer.from('x'))).code, 12)
    assert.equal((await unary(client, 'never', Buffer.from('x'), { deadlineMs: 200 })).code, 4)
  })

  it('grpc-js: 200 calls at once', async () => {
    const results = await Promise.all(Array.from({ length: 200 }, (_, at) => unary(client, 'unary', Buffer.from(String(at)))))
    assert.ok(results.every(({ code, reply }, at) => code === 0 && String(reply) === String(at)))
  })

  it('grpcio to grpcio: unary, stream, error, deadline and cancels', async () => {
    const grpcio = new Grpcio()
    const { port } = proxy
    const call = (op: 'unary' | 'stream' | 'cancels', method: string, more = {}) =>
      grpcio.call({ op, port, path: `/s/test.Echo/${method}`, timeoutMs: 10_000, ...more })
    const echoed = await call('unary', 'Unary', { message: Buffer.from('hello'), metadata: [['x-ask', 'two']] })
    assert.deepEqual([echoed.code, String(echoed.replies[0])], [0, 'hello'])
    assert.ok(echoed.initial.some(([name, value]) => name === 'x-told' && value === 'two'))
    assert.deepEqual((await call('stream', 'Expand', { message: Buffer.from([7, 8]) })).replies, [Buffer.from([7]), Buffer.from([8])])
    const failed = await call('unary', 'Fail', { message: Buffer.from([5]) })
    assert.deepEqual([failed.code, failed.details], [5, 'line\r\nand ☺ 😈'])
    assert.equal((await call('unary', 'Never', { timeoutMs: 200 })).code, 4)
    await grpcio.close()
  })
})
