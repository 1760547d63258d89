// All four kinds of gRPC call through the proxy: same bytes, status and metadata as without it.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import * as grpc from '@grpc/grpc-js'
import { type EchoClient, type EchoServer, echoClient, echoServer, unary } from './grpc-echo.js'
import { endpoint, startTestProxy, type TestProxy, until } from './start-proxy.js'

describe('gRPC through the proxy', () => {
  let server: EchoServer
  let proxy: TestProxy
  let client: EchoClient
  let direct: EchoClient

  before(async () => {
    server = await echoServer()
    proxy = await startTestProxy([{ prefix: '/echo/', protocol: 'h2c', endpoints: [endpoint(server.port)] }])
    client = echoClient(proxy.port, '/echo/')
    direct = echoClient(server.port)
  })
  after(async () => {
    client.close()
    direct.close()
    await proxy.stop()
    server.stop()
  })

  for (const size of [0, 1, 1000, 70_000, 3_000_000]) {
    it(`a unary message of ${size} bytes comes back as it was`, async () => {
      const message = Buffer.alloc(size, 'x')
      const result = await unary(client, 'unary', message)
      assert.equal(result.code, 0, result.details)
      assert.ok(result.reply?.equals(message))
    })
  }

  it('a client stream of 200 messages arrives whole and in order', async () => {
    const parts = Array.from({ length: 200 }, (_, at) => Buffer.from(`${at};`))
    const reply = await new Promise<Buffer>((resolve, reject) => {
      const call = client.collect(new grpc.Metadata(), (error, got) => (error ? reject(error) : resolve(got!)))
      for (const part of parts) call.write(part)
      call.end()
    })
    assert.ok(reply.equals(Buffer.concat(parts)))
  })

  it('a server stream arrives message by message', async () => {
    const got: number[] = []
    for await (const part of client.expand(Buffer.from([5, 6, 7, 8]))) got.push((part as Buffer)[0]!)
    assert.deepEqual(got, [5, 6, 7, 8])
  })

  it('a bidirectional stream is a dialogue: each answer comes before the next question is sent', async () => {
    const call = client.chat()
    for (const word of ['one', '', 'three']) {
      const answer = new Promise<Buffer>(resolve => call.once('data', resolve))
      call.write(Buffer.from(word))
      assert.equal((await answer).toString(), word)
    }
    const status = new Promise<grpc.StatusObject>(resolve => call.on('status', resolve))
    call.end()
    assert.equal((await status).code, 0)
  })

  it('half-close goes through at once while the answers stay open', async () => {
    const call = client.chat()
    call.on('data', () => {})
    call.write(Buffer.from('x'))
    await new Promise(resolve => call.once('data', resolve))
    const ended = server.events.filter(event => event === 'ended chat').length
    const status = new Promise(resolve => call.on('status', resolve))
    call.end()
    await until(() => server.events.filter(event => event === 'ended chat').length > ended)
    await status
  })

  it('metadata in both directions is what it is without the proxy: doubled keys, binary values, trailers', async () => {
    const metadata = new grpc.Metadata()
    metadata.add('x-ask', 'one')
    metadata.add('x-ask', 'two')
    metadata.add('x-ask-bin', Buffer.from([0, 1, 254, 255]))
    const seen = await Promise.all([
      unary(direct, 'unary', Buffer.from('m'), { metadata }),
      unary(client, 'unary', Buffer.from('m'), { metadata }),
    ])
    const plain = seen.map(({ code, details, initial, trailing }) => {
      const first = initial.toJSON()
      // It tells the second.
      delete first.date
      return { code, details, initial: first, trailing: trailing.toJSON() }
    })
    assert.deepEqual(plain[1], plain[0])
  })

  for (const code of [1, 2, 3, 5, 7, 8, 9, 12, 13, 14, 15, 16]) {
    it(`status ${code} with its message and metadata is the service's`, async () => {
      const [want, got] = await Promise.all([unary(direct, 'fail', Buffer.from([code])), unary(client, 'fail', Buffer.from([code]))])
      assert.equal(got.code, code)
      assert.equal(got.details, want.details)
      assert.deepEqual(got.trailing.get('x-why'), want.trailing.get('x-why'))
    })
  }

  it('an unknown method is UNIMPLEMENTED in the words of the service', async () => {
    const [want, got] = await Promise.all([unary(direct, 'missing', Buffer.alloc(0)), unary(client, 'missing', Buffer.alloc(0))])
    assert.equal(got.code, grpc.status.UNIMPLEMENTED)
    // The service names the path it was asked for, which is the same: the prefix has been stripped.
    assert.equal(got.details, want.details)
  })

  it('a message and then an error is a message and then that error', async () => {
    const call = client.greetThenFail(Buffer.alloc(0))
    const got: string[] = []
    call.on('data', part => got.push(String(part)))
    call.on('error', () => {})
    const status = await new Promise<grpc.StatusObject>(resolve => call.on('status', resolve))
    assert.deepEqual([got, status.code, status.details], [['hello'], grpc.status.ABORTED, 'after one message'])
  })

  it('a service that answers before the client has finished ends the call well', async () => {
    const reply = await new Promise<Buffer>((resolve, reject) => {
      const call = client.early(new grpc.Metadata(), (error, got) => (error ? reject(error) : resolve(got!)))
      call.on('error', () => {})
      call.write(Buffer.from('first'))
    })
    assert.equal(reply.toString(), 'enough')
    assert.equal((await unary(client, 'unary', Buffer.from('next'))).code, 0)
  })

  for (const when of ['before', 'after'] as const) {
    it(`a client that cancels ${when} the first answer is seen by the service`, async () => {
      const known = server.events.length
      const call = client.chat()
      call.on('error', () => {})
      call.on('data', () => {})
      call.write(Buffer.from('x'))
      if (when === 'after') await new Promise(resolve => call.once('data', resolve))
      else await until(() => server.events.slice(known).includes('a chat'))
      call.cancel()
      await until(() => server.events.slice(known).includes('cancelled chat'))
    })
  }

  it('1000 calls at once on one connection all succeed', async () => {
    const results = await Promise.all(Array.from({ length: 1000 }, (_, at) => unary(client, 'unary', Buffer.from(String(at)))))
    assert.deepEqual(
      results.map(result => `${result.code} ${result.reply}`),
      results.map((_, at) => `0 ${at}`),
    )
  })
})

describe('balancing', () => {
  it('the calls of one client connection go round over all ready endpoints, and only those', async () => {
    const servers = await Promise.all(['a', 'b', 'c'].map(name => echoServer(name)))
    const [a, b, c] = servers.map(server => endpoint(server.port))
    const route = { prefix: '/echo/', protocol: 'h2c' as const }
    const proxy = await startTestProxy([{ ...route, endpoints: [a!, b!, { ...c!, ready: false }] }])
    const client = echoClient(proxy.port, '/echo/')
    const ask = async (count: number) => {
      const names: string[] = []
      for (let at = 0; at < count; at++) names.push(String((await unary(client, 'unary', Buffer.alloc(1))).trailing.get('server')[0]))
      return names.sort().join('')
    }
    assert.equal(await ask(6), 'aaabbb')
    await proxy.setTable([{ ...route, endpoints: [a!, b!, c!] }])
    assert.equal(await ask(6), 'aabbcc')
    await proxy.setTable([{ ...route, endpoints: [c!] }])
    assert.equal(await ask(3), 'ccc')
    client.close()
    await proxy.stop()
    for (const server of servers) server.stop()
  })
})
