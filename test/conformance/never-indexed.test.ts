// A field that came as never indexed leaves as never indexed, through the whole proxy (RFC 7541 6.2.3): requests and answers, heads and trailers.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { literal } from '../proxy/http2/hpack/blocks.js'
import { FLAG, frame, type RawPeer, rawClient, rawService, request, type SeenFrame, TYPE } from '../proxy/http2/raw-peer.js'
import { type NamedService, namedService } from './routes/services.js'
import { endpoint, startTestProxy, type TestProxy } from './start-proxy.js'

const END = FLAG.END_STREAM

/** A block of literals; names that begin with `!` are marked as never indexed. */
function block(fields: [string, string][]): Buffer {
  return Buffer.concat(
    fields.map(([name, value]) => (name.startsWith('!') ? literal('never', name.slice(1), value) : literal('plain', name, value))),
  )
}

const headers = (id: number, flags: number, fields: [string, string][]) => frame(TYPE.HEADERS, FLAG.END_HEADERS | flags, id, block(fields))

/** The path as a secret, too: a link with a token in it. */
const MARKED_PATH = request('/h2/x').map(([name, value]): [string, string] => [name === ':path' ? '!:path' : name, value])

describe('fields marked as never indexed', () => {
  let service: Awaited<ReturnType<typeof rawService>>
  let plain: NamedService
  let proxy: TestProxy
  let reply: (peer: RawPeer, id: number) => void
  before(async () => {
    service = await rawService(peer => {
      peer.socket.on('data', () => {
        for (const one of peer.frames)
          if (!answered.has(one) && (one.type === TYPE.HEADERS || one.type === TYPE.DATA) && (one.flags & END) !== 0) {
            answered.add(one)
            reply(peer, one.id)
          }
      })
    })
    const answered = new Set<SeenFrame>()
    plain = await namedService('plain')
    const h2 = { protocol: 'h2c' as const, endpoints: [endpoint(service.port)] }
    proxy = await startTestProxy([
      { prefix: '/h2/', ...h2 },
      { prefix: '/small/', ...h2, compression: true },
      { prefix: '/h1/', endpoints: [plain.endpoint] },
    ])
  })
  after(async () => {
    await proxy.stop()
    await service.close()
    await plain.close()
  })

  const heads = () => service.peers.flatMap(peer => peer.of(TYPE.HEADERS))

  it('of a request: in its head however often they come, in its trailers, and not for clients that do not mark them', async () => {
    reply = (peer, id) => peer.headers(id, [[':status', '200']], END)
    const from = heads().length
    const client = await rawClient(proxy.port)
    const id = (round: number) => 1 + 2 * round
    for (let round = 0; round < 3; round++) {
      client.send(headers(id(round), 0, [...MARKED_PATH, ['!x-token', 'same'], ['x-plain', 'same']]))
      client.send(
        headers(id(round), END, [
          ['!x-sum', 'same'],
          ['x-rest', 'same'],
        ]),
      )
      await client.until('an answer', one => one.hasEnded(id(round)))
    }
    const other = await rawClient(proxy.port)
    for (let round = 0; round < 3; round++) {
      other.send(headers(id(round), END, [...request('/h2/x'), ['x-token', 'same']]))
      await other.until('an answer', one => one.hasEnded(id(round)))
    }
    const seen = heads().slice(from)
    const marked = seen.map(one => one.neverIndexed.join(' '))
    assert.deepEqual(marked, [':path x-token', 'x-sum', ':path x-token', 'x-sum', ':path x-token', 'x-sum', '', '', ''])
    for (const one of seen.slice(-3)) assert.equal(one.fields[one.fields.indexOf('x-token') + 1], 'same')
    client.close()
    other.close()
  })

  for (const [path, more] of [
    ['/h2/x', []],
    ['/small/x', [['accept-encoding', 'gzip']]],
  ] as [string, [string, string][]][]) {
    it(`of an answer${more.length > 0 ? ' that is compressed' : ''}: in 103, its head and its trailers`, async () => {
      const body = Buffer.alloc(5000, 'compressible ')
      reply = (peer, id) => {
        peer.send(
          headers(id, 0, [
            [':status', '103'],
            ['!link', '<a>'],
          ]),
        )
        peer.send(
          headers(id, 0, [
            [':status', '200'],
            ['content-type', 'text/plain'],
            ['!x-token', 'same'],
            ['x-plain', 'same'],
          ]),
        )
        peer.send(frame(TYPE.DATA, 0, id, body), headers(id, END, [['!x-sum', 'same']]))
      }
      const client = await rawClient(proxy.port)
      for (const id of [1, 3, 5]) {
        client.send(headers(id, END, request(path, more)))
        await client.until('an answer', one => one.hasEnded(id))
        const seen = client.of(TYPE.HEADERS, id)
        assert.deepEqual(
          seen.map(one => one.neverIndexed),
          [['link'], ['x-token'], ['x-sum']],
        )
        assert.equal(seen[1]!.fields.includes('gzip'), more.length > 0)
      }
      client.close()
    })
  }

  it('of gRPC-Web: in the call that is translated, and in its answer', async () => {
    reply = (peer, id) => {
      peer.send(
        headers(id, 0, [
          [':status', '200'],
          ['content-type', 'application/grpc'],
          ['!x-answer', 'same'],
        ]),
      )
      peer.send(headers(id, END, [['grpc-status', '0']]))
    }
    const from = heads().length
    const client = await rawClient(proxy.port)
    client.send(headers(1, 0, [...request('/h2/x'), ['content-type', 'application/grpc-web+proto'], ['!x-token', 'same']]))
    client.data(1, Buffer.alloc(5), END)
    await client.until('an answer', one => one.hasEnded(1))
    assert.deepEqual(heads()[from]!.neverIndexed, ['x-token'])
    assert.deepEqual(client.of(TYPE.HEADERS, 1)[0]!.neverIndexed, ['x-answer'])
    client.close()
  })

  it('arrive at an HTTP/1 service, which knows no such mark; its answer has none', async () => {
    plain.reply = () => ({ body: 'ok', headers: { 'x-token': 'same' } })
    const client = await rawClient(proxy.port)
    client.send(headers(1, END, [...request('/h1/x'), ['!x-token', 'same']]))
    await client.until('an answer', one => one.hasEnded(1))
    assert.equal(plain.asked.at(-1)!.headers['x-token'], 'same')
    assert.deepEqual(client.of(TYPE.HEADERS, 1)[0]!.neverIndexed, [])
    client.close()
  })

  it('of an HTTP/1 client there are none but the secrets we know', async () => {
    reply = (peer, id) => peer.headers(id, [[':status', '200']], END)
    const from = heads().length
    const answer = await fetch(`http://127.0.0.1:${proxy.port}/h2/x`, { headers: { 'x-token': 'same', authorization: 'Bearer x' } })
    assert.equal(answer.status, 200)
    assert.deepEqual(heads()[from]!.neverIndexed, ['authorization'])
  })
})
