// Request bodies that stand still: the client's pause or the service's silence, told the same way whichever limit passes first.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { answer, begin, grpcRequest, isOver } from './grpc/calls.js'
import { type Rig, startRig } from './grpc/rig.js'
import { RST, type WireStream } from './grpc/wire.js'
import { message } from './h2-frames.js'
import { type Origin, rawOrigin } from './origins.js'
import { endLater, endpoint, until } from './start-proxy.js'

const BODY_MS = 200
const SILENCE_MS = 1500
/** Beyond the replay buffer: what is not kept is counted on its way. */
const LARGE = 100_000

describe('a request body that stands still', () => {
  let rig: Rig
  let mute: Origin
  before(async () => {
    mute = await rawOrigin(() => {})
    rig = await startRig({
      route: { timeoutMs: SILENCE_MS },
      routes: port => [
        { prefix: '/same/', protocol: 'h2c', timeoutMs: BODY_MS, endpoints: [endpoint(port)] },
        { prefix: '/short/', protocol: 'h2c', timeoutMs: BODY_MS / 2, endpoints: [endpoint(port)] },
        { prefix: '/none/', protocol: 'h2c', holdMs: 5000, endpoints: [endpoint(port, { ready: false })] },
        { prefix: '/mute/', timeoutMs: SILENCE_MS, endpoints: [endpoint(mute.port)] },
        { prefix: '/mute-same/', timeoutMs: BODY_MS, endpoints: [endpoint(mute.port)] },
      ],
      settings: { bodyTimeoutMs: BODY_MS },
    })
  })
  after(async () => {
    await rig.close()
    await mute.close()
  })

  const wait = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))
  const open = (path: string, ...parts: Buffer[]) => {
    const stream = rig.wire.open(grpcRequest(path), 'more')
    for (const part of parts) rig.wire.data(stream.id, part)
    return stream
  }
  const told = (stream: WireStream) => [stream.shape.split(' ')[0], stream.grpcStatus, stream.field('grpc-message')?.split(':')[0]]
  const tookMs = (stream: WireStream) => stream.overAtMs - stream.bornAtMs
  const torn = (bytes: number) => message('t'.repeat(bytes)).subarray(0, -1)

  for (const [title, path, parts] of [
    ['within a message', '/s/a.B/Torn', [message('whole'), torn(10)]],
    ['within a prefix', '/s/a.B/Prefix', [Buffer.from([0, 0])]],
    ['within a message that is too long to be kept', '/s/a.B/Long', [message('whole'), torn(LARGE)]],
    ['while no instance is ready', '/none/a.B/Held', [torn(10)]],
  ] as [string, string, Buffer[]][]) {
    it(`gRPC, ${title}: 4 as one HEADERS frame at body_timeout, and the service is told`, async () => {
      rig.act = () => {}
      const known = rig.service.calls.length
      const stream = open(path, ...parts)
      await isOver(stream)
      assert.deepEqual(told(stream), ['HEADERS+END', '4', 'REQUEST_TOO_SLOW'])
      assert.ok(tookMs(stream) >= BODY_MS - 2 && tookMs(stream) < SILENCE_MS, `${tookMs(stream)} ms`)
      if (!path.startsWith('/none/')) await until(() => rig.service.calls[known]?.resetCode === RST.CANCEL)
    })
  }

  for (const [title, pause] of [
    ['after a message', [message('one')]],
    ['after one that is too long to be kept', [message('l'.repeat(LARGE))]],
    ['before the first', []],
  ] as [string, Buffer[]][]) {
    it(`gRPC, ${title}: who chats may think for longer than body_timeout`, async () => {
      rig.act = answer
      const stream = open('/s/a.B/Chat', ...pause)
      await wait(BODY_MS * 2.5)
      assert.deepEqual([stream.shape, stream.resetCode], ['', null])
      rig.wire.data(stream.id, message('two'))
      await wait(BODY_MS * 2.5)
      rig.wire.data(stream.id, message('three'), 'end')
      await isOver(stream)
      assert.equal(stream.grpcStatus, '0')
    })
  }

  it('gRPC: and is held to body_timeout again within the next message', async () => {
    rig.act = answer
    const stream = open('/s/a.B/Then', message('one'))
    await wait(BODY_MS * 1.5)
    rig.wire.data(stream.id, torn(10))
    await isOver(stream)
    assert.deepEqual(told(stream), ['HEADERS+END', '4', 'REQUEST_TOO_SLOW'])
  })

  for (const [title, parts, status, code] of [
    ['whole messages, and no answer to them', [message('one')], '14', 'UPSTREAM_TIMEOUT'],
    ['not a word from the client', [], '4', 'REQUEST_TOO_SLOW'],
  ] as [string, Buffer[], string, string][]) {
    it(`gRPC, nothing for the route’s timeout: ${title} is ${status}`, async () => {
      rig.act = () => {}
      const stream = open('/s/a.B/Silence', ...parts)
      await isOver(stream)
      assert.deepEqual(told(stream), ['HEADERS+END', status, code])
      assert.ok(tookMs(stream) >= SILENCE_MS - 2, `${tookMs(stream)} ms`)
    })
  }

  it('gRPC, after the answer’s head: the route’s timeout alone, and trailers', async () => {
    const known = rig.service.calls.length
    const stream = open('/s/a.B/Begun', torn(10))
    await until(() => rig.service.calls.length > known)
    begin(rig.service.calls[known]!)
    await isOver(stream)
    assert.match(stream.shape, /^HEADERS DATA HEADERS\+END/)
    assert.equal(stream.trailer('grpc-status'), '14')
    assert.ok(tookMs(stream) >= SILENCE_MS - 2, `${tookMs(stream)} ms`)
  })

  for (const path of ['/same/', '/short/']) {
    it(`${path}: it makes no difference which limit passes first`, async () => {
      rig.act = () => {}
      const calls = Array.from({ length: 20 }, () => open(`${path}a.B/Torn`, torn(10)))
      const posts = Array.from({ length: 20 }, () => rig.wire.open([...POST, [':path', `${path}x`]], 'more'))
      for (const { id } of posts) rig.wire.data(id, Buffer.from('some'))
      for (const stream of [...calls, ...posts]) await isOver(stream)
      for (const stream of calls) assert.deepEqual(told(stream), ['HEADERS+END', '4', 'REQUEST_TOO_SLOW'])
      for (const stream of posts) {
        assert.deepEqual([stream.field(':status'), codeOf(stream.body.toString())], ['408', 'REQUEST_TOO_SLOW'])
      }
    })
  }

  it('HTTP/2: a body that is malformed is a reset, as before', async () => {
    rig.act = () => {}
    const stream = rig.wire.open([...POST, [':path', '/s/x'], ['content-length', '3']], 'more')
    rig.wire.data(stream.id, Buffer.from('more'))
    await isOver(stream)
    assert.equal(stream.resetCode, RST.PROTOCOL)
  })

  for (const [title, lines, body, status, code] of [
    ['a body that stops', 'Content-Length: 9\r\n', 'some', 408, 'REQUEST_TOO_SLOW'],
    ['a body that never comes', 'Content-Length: 9\r\n', '', 408, 'REQUEST_TOO_SLOW'],
    ['a client that waits for the service’s 100', 'Content-Length: 9\r\nExpect: 100-continue\r\n', '', 504, 'UPSTREAM_TIMEOUT'],
    ['a client that waits to become a WebSocket', 'Connection: Upgrade\r\nUpgrade: websocket\r\n', '', 504, 'UPSTREAM_TIMEOUT'],
    ['a complete request', '', '', 504, 'UPSTREAM_TIMEOUT'],
    ['a malformed chunk', 'Transfer-Encoding: chunked\r\n', '4\r\nsomeXX', 400, 'REQUEST_MALFORMED'],
  ] as [string, string, string, number, string][]) {
    for (const path of ['/mute/', '/mute-same/']) {
      it(`HTTP/1.1, ${path}: ${title} is ${status}`, async () => {
        const method = lines.startsWith('Connection') || lines === '' ? 'GET' : 'POST'
        const told = await refusalOf(`${method} ${path} HTTP/1.1\r\nHost: h\r\n${lines}\r\n${body}`)
        assert.deepEqual([told.status, told.code], [status, code])
        if (status !== 504) assert.match(told.text, /connection: close/)
      })
    }
  }

  /** The answer to these bytes. */
  async function refusalOf(bytes: string): Promise<{ status: number; code: string; text: string }> {
    const socket = connect(rig.proxy.port, '127.0.0.1')
    endLater(() => socket.destroy())
    let text = ''
    socket.on('error', () => {})
    socket.on('data', chunk => {
      text += chunk.toString('latin1')
    })
    socket.write(bytes)
    await until(() => text.endsWith('}\n'))
    socket.destroy()
    return { status: Number(text.slice(9, 12)), code: codeOf(text.slice(text.indexOf('{'))), text }
  }
})

const POST: [string, string][] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':authority', 'suite.test'],
]

function codeOf(body: string): string {
  return (JSON.parse(body) as { error: { code: string } }).error.code
}
