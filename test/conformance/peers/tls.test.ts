// Real clients over TLS: grpc-js, curl and h2load at the TLS door, and a drain under open TLS connections.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { WebSocket } from 'ws'
import { missing } from '../external.js'
import { type EchoServer, echoServer, secureEchoClient, unary } from '../grpc-echo.js'
import { http1Origin, type Origin, readBody } from '../origins.js'
import { endpoint, startTestProxy, type TestProxy, until } from '../start-proxy.js'
import { output } from './program.js'
import { http1Tunneller, type TunnelService } from './tunnel-ends.js'

const file = (name: string) => fileURLToPath(new URL(`../../../../test/fixtures/tls/${name}`, import.meta.url))
const ROOT = readFileSync(file('first.pem'))
const TRUST = { root: ROOT, name: 'first.test' }

describe('real clients at the TLS door', () => {
  let web: Origin
  let model: EchoServer
  let tunnels: TunnelService
  let proxy: TestProxy
  before(async () => {
    web = await http1Origin()
    model = await echoServer()
    tunnels = await http1Tunneller()
    const tls = { listen: { host: '127.0.0.1', port: 0 }, certificate: file('first.pem'), key: file('first.key.pem') }
    proxy = await startTestProxy(
      [
        { prefix: '/w/', endpoints: [endpoint(web.port)] },
        { prefix: '/e/', protocol: 'h2c', endpoints: [endpoint(model.port)] },
        { prefix: '/t/', endpoints: [endpoint(tunnels.port)] },
      ],
      { tls, drainMs: 8000 },
    )
  })
  after(async () => {
    await proxy.stop()
    model.stop()
    await Promise.all([web.close(), tunnels.close()])
  })
  const port = () => proxy.status().tls!.port

  it('grpc-js: a unary call of megabytes, a chat, an error and 200 calls at once', async () => {
    const client = secureEchoClient(port(), '/e/', TRUST)
    const large = await unary(client, 'unary', Buffer.alloc(3_000_000, 7))
    assert.deepEqual([large.code, large.reply?.length], [0, 3_000_000])
    const chat = client.chat()
    for (const word of ['one', 'two']) {
      const echo = once(chat, 'data')
      chat.write(Buffer.from(word))
      assert.equal(String((await echo)[0]), word)
    }
    chat.end()
    assert.equal((await once(chat, 'status'))[0].code, 0)
    assert.equal((await unary(client, 'fail', Buffer.from([9]))).code, 9)
    const results = await Promise.all(Array.from({ length: 200 }, (_, at) => unary(client, 'unary', Buffer.from(String(at)))))
    assert.ok(results.every(({ code, reply }, at) => code === 0 && String(reply) === String(at)))
    client.close()
  })

  it('WebSocket over TLS: messages and a close', async () => {
    const socket = new WebSocket(`wss://127.0.0.1:${port()}/t/x`, { rejectUnauthorized: false })
    await once(socket, 'open')
    for (const message of ['text', 'x'.repeat(1 << 20)]) {
      const echo = once(socket, 'message')
      socket.send(message)
      assert.equal(String((await echo)[0]), message)
    }
    const closed = once(socket, 'close')
    socket.send('close')
    assert.equal((await closed)[0], 4001)
  })

  for (const [flag, version] of [
    ['--http1.1', '1.1'],
    ['--http2', '2'],
  ]) {
    it(`curl ${flag}: by ALPN, with the certificate checked`, { skip: missing(['curl', '--version'], 'curl') }, async () => {
      const host = `first.test:${port()}`
      const argv = ['-sS', '--max-time', '60', flag!, '--cacert', file('first.pem'), '--resolve', `${host}:127.0.0.1`]
      const told = await output('curl', [...argv, '-w', '\n%{http_version}', `https://${host}/w/x`])
      const [body, spoken] = told.split('\n')
      assert.deepEqual([JSON.parse(body!).target, spoken], ['/x', version])
    })
  }

  it('h2load 4×16: none fails', { skip: missing(['h2load', '--version'], 'nghttp2-client') }, async () => {
    const told = await output('h2load', ['-n', '2000', '-c', '4', '-m', '16', `https://127.0.0.1:${port()}/w/x`])
    assert.match(told, /2000 succeeded, 0 failed, 0 errored, 0 timeout/)
  })

  it('a drain cuts nothing: a chat, a WebSocket and an upload go on to their ends, and nobody is refused', async () => {
    const client = secureEchoClient(port(), '/e/', TRUST)
    const chat = client.chat()
    const answers: string[] = []
    chat.on('data', data => answers.push(String(data)))
    chat.write(Buffer.from('before'))
    await until(() => answers.length === 1)
    const agent = new Agent({ keepAlive: true })
    const upload = request({ host: '127.0.0.1', port: port(), path: '/w/x', method: 'POST', agent, rejectUnauthorized: false })
    upload.write('first ')
    const socket = new WebSocket(`wss://127.0.0.1:${port()}/t/x`, { rejectUnauthorized: false })
    await once(socket, 'open')
    const { pid } = proxy.status().workers[0]!

    await proxy.settings({ idleTimeoutMs: 50_000 })
    chat.write(Buffer.from('during'))
    await until(() => answers.length === 2)
    const echo = once(socket, 'message')
    socket.send('during')
    assert.equal(String((await echo)[0]), 'during')
    const results = await Promise.all(Array.from({ length: 20 }, () => unary(client, 'unary', Buffer.from('x'))))
    assert.deepEqual(
      results.filter(({ code }) => code !== 0).map(({ details }) => details),
      [],
    )
    upload.end('second')
    const [answer] = await once(upload, 'response')
    assert.equal(answer.headers.connection, 'close')
    assert.match(await readBody(answer), /first second/)
    const status = once(chat, 'status')
    chat.end()
    assert.equal((await status)[0].code, 0)
    const closed = once(socket, 'close')
    socket.close(4000)
    assert.equal((await closed)[0], 4000)
    await until(() => proxy.status().workers.every(worker => worker.pid !== pid))
    client.close()
    agent.destroy()
  })
})
