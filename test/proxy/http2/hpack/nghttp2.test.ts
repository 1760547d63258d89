// nghttp2, inside node:http2, as the judge: it and we take the same blocks, read the same fields from them and refuse the same ones.
// Deviations, by intent: a name or value nghttp2 drops without a word is MALFORMED for us (RFC 9113 8.2.1), so such blocks are compared by whether the
// connection lives; what breaks a rule of requests rather than of HPACK (pseudo fields, connection fields) is reset by nghttp2 and not our business here.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import http2 from 'node:http2'
import net, { type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { HpackDecoder } from '../../../../src/proxy/http2/hpack/decoder.js'
import { HpackEncoder } from '../../../../src/proxy/http2/hpack/encoder.js'
import { type Coding, decode, dice, indexed, type Kind, literal, Sink, sizeUpdate } from './blocks.js'

const HEADERS = 1
const SETTINGS = 4
const PING = 6
const GOAWAY = 7
const COMPRESSION_ERROR = 9
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const EVERY_REQUEST = Buffer.concat([indexed(3), indexed(6), indexed(4), literal('plain', 1, 'host.test')])

function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** Calls back for every complete frame behind `skip` bytes. */
function frames(socket: net.Socket, skip: number, seen: (type: number, flags: number, payload: Buffer) => void): void {
  let rest = Buffer.alloc(0)
  let skipping = skip
  socket.on('data', chunk => {
    rest = Buffer.concat([rest, chunk])
    if (rest.length < skipping) return
    rest = rest.subarray(skipping)
    skipping = 0
    while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
      const end = 9 + rest.readUIntBE(0, 3)
      seen(rest[3]!, rest[4]!, rest.subarray(9, end))
      rest = rest.subarray(end)
    }
  })
}

interface Judged {
  /** Fields by stream; a stream nghttp2 refused has none. */
  fields: Map<number, string[]>
  broken: boolean
}

/** Sends all blocks on one connection and gathers what nghttp2 made of them. */
async function judge(server: http2.Http2Server, blocks: Buffer[]): Promise<Judged> {
  const fields = new Map<number, string[]>()
  const take = (stream: http2.ServerHttp2Stream, _: unknown, __: number, raw: string[]): void => {
    stream.on('error', () => undefined)
    fields.set(stream.id!, raw)
  }
  server.on('stream', take)
  const socket = net.connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.on('error', () => undefined)
  const done = new Promise<boolean>(resolve => {
    socket.on('close', () => resolve(false))
    frames(socket, 0, (type, flags, payload) => {
      // node:http2 says GOAWAY and leaves the connection open while streams are; what it took before has been reported by then.
      if (type === GOAWAY) resolve(payload.readUInt32BE(4) === COMPRESSION_ERROR)
      if (type === PING && flags === 1) resolve(false)
    })
  })
  const requests = blocks.map((block, place) => frame(HEADERS, 0x5, place * 2 + 1, block))
  socket.write(Buffer.concat([PREFACE, frame(SETTINGS, 0, 0), ...requests, frame(PING, 0, 0, Buffer.alloc(8))]))
  const broken = await done
  server.off('stream', take)
  socket.destroy()
  return { fields, broken }
}

async function withServer(run: (server: http2.Http2Server) => Promise<void>): Promise<void> {
  const server = http2.createServer({ settings: { maxConcurrentStreams: 100_000 }, maxHeaderListPairs: 10_000 })
  const sessions = new Set<http2.ServerHttp2Session>()
  server.on('session', session => sessions.add(session.on('error', () => undefined).on('close', () => sessions.delete(session))))
  server.on('sessionError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    await run(server)
  } finally {
    for (const session of sessions) session.destroy()
    server.close()
    await once(server, 'close')
  }
}

/** Both took `blocks` the same way, by the rules on top. */
function compare(judged: Judged, blocks: Buffer[], title: string): { equal: number; broken: number; malformed: number } {
  const decoder = new HpackDecoder(4096)
  const counts = { equal: 0, broken: 0, malformed: 0 }
  for (const [place, block] of blocks.entries()) {
    const { result, fields } = decode(decoder, block)
    const theirs = judged.fields.get(place * 2 + 1)
    if (result === 3) {
      assert.ok(judged.broken, `${title}: we broke (${decoder.problem}), nghttp2 did not: ${block.toString('hex')}`)
      return { ...counts, broken: 1 }
    }
    if (result === 1) counts.malformed++
    else if (theirs !== undefined) {
      assert.deepEqual(fields, theirs, `${title}: ${block.toString('hex')}`)
      counts.equal++
    }
  }
  assert.equal(judged.broken, false, `${title}: nghttp2 broke, we did not: ${blocks.map(block => block.toString('hex'))}`)
  return counts
}

const letters = (random: () => number, from: number, to: number, most: number): string =>
  Array.from({ length: random() * most }, () => String.fromCharCode(from + Math.floor(random() * (to - from)))).join('')

/** A good request with random fields; entries that may not exist any more are referred to now and then. */
function randomBlock(random: () => number, reach: number): Buffer {
  const parts: Buffer[] = []
  if (random() < 0.02) parts.push(sizeUpdate(Math.floor(random() * 600)), sizeUpdate(Math.floor(random() * 4097)))
  parts.push(EVERY_REQUEST)
  if (reach < 1) parts.push(literal('insert', 'x-first', 'a'), literal('insert', 'x-second', 'b'))
  for (let count = random() * 10; count > 0; count--) {
    const kind = (['insert', 'plain', 'never'] as const satisfies Kind[])[Math.floor(random() * 3)]!
    const coding: Coding = random() < 0.6 ? 'huffman' : 'raw'
    const value = random() < 0.3 ? letters(random, 128, 256, 40) : letters(random, 33, 127, 60)
    if (random() < 0.3) parts.push(indexed(62 + Math.floor(random() * reach)))
    else parts.push(literal(kind, random() < 0.3 ? 62 + Math.floor(random() * reach) : `x-${letters(random, 97, 123, 9)}`, value, coding))
  }
  return Buffer.concat(parts)
}

function mutated(random: () => number, block: Buffer): Buffer {
  const copy = Buffer.from(block)
  for (let flips = 1 + random() * 2; flips > 0; flips--) copy[Math.floor(random() * copy.length)] = random() * 256
  return random() < 0.2 ? copy.subarray(0, Math.floor(random() * copy.length)) : copy
}

test('random and mutated blocks: nghttp2 and we read the same fields and refuse the same blocks', { timeout: 60_000 }, () =>
  withServer(async server => {
    const total = { equal: 0, broken: 0, malformed: 0 }
    for (let seed = 1; seed <= 400; seed++) {
      const random = dice(seed)
      const blocks = Array.from({ length: 20 }, (_, place) => {
        const block = randomBlock(random, place === 0 ? 0.01 : 2)
        return random() < 0.04 ? mutated(random, block) : block
      })
      const counts = compare(await judge(server, blocks), blocks, `seed ${seed}`)
      total.equal += counts.equal
      total.broken += counts.broken
      total.malformed += counts.malformed
    }
    assert.ok(total.equal > 1000 && total.broken > 100 && total.malformed > 10, JSON.stringify(total))
  }),
)

test('blocks at the edge of each rule: the same answer', { timeout: 60_000 }, () =>
  withServer(async server => {
    const good = literal('insert', 'x-a', 'v')
    const rows: [title: string, ...blocks: Buffer[]][] = [
      ['index 0', indexed(0)],
      ['index beyond', indexed(62)],
      ['index at the end', good, indexed(62)],
      ['index after eviction', Buffer.concat([good, literal('insert', 'x-b', 'l'.repeat(4065))]), indexed(62)],
      ['name index beyond', literal('insert', 62, 'v')],
      ['end-of-string symbol', Buffer.from('00017884ffffffff', 'hex')],
      ['padding of zeros', Buffer.from('0001788118', 'hex')],
      ['padding of eight ones', Buffer.from('000178821fff', 'hex')],
      ['padding of three ones', Buffer.from('000178811f', 'hex')],
      ['string cut off', Buffer.from('0001780561', 'hex')],
      ['integer cut off', Buffer.from('ff80', 'hex')],
      ['integer overflow', Buffer.from('ffffffffffffffffff01', 'hex')],
      ['integer padded with one zero', Buffer.from('7f80000178', 'hex')],
      ['size update behind a field', Buffer.concat([good, sizeUpdate(0)])],
    ]
    for (const [title, ...parts] of rows) {
      const blocks = parts.map(part => Buffer.concat([EVERY_REQUEST, part]))
      compare(await judge(server, blocks), blocks, title)
    }
    for (const sizes of [[4096], [4097], [0], [0, 4096], [100, 50, 200], [1_000_000]]) {
      const blocks = [Buffer.concat([EVERY_REQUEST, good]), Buffer.concat([...sizes.map(sizeUpdate), EVERY_REQUEST, indexed(62)])]
      compare(await judge(server, blocks), blocks, `sizes ${sizes}`)
    }
  }),
)

test('nghttp2 reads what our encoder writes', { timeout: 60_000 }, () =>
  withServer(async server => {
    for (let seed = 1; seed <= 20; seed++) {
      const random = dice(seed)
      const encoder = new HpackEncoder()
      const sink = new Sink()
      const values = Array.from({ length: 30 }, () => letters(random, 33, 127, 150))
      const expected = new Map<number, string[]>()
      const blocks = Array.from({ length: 150 }, (_, place) => {
        if (random() < 0.05) encoder.peerTableBytes(Math.floor(random() * 4097))
        const fields = [':method', 'POST', ':scheme', 'http', ':path', `/${Math.floor(random() * 40)}`, ':authority', 'host.test']
        for (let count = random() * 12; count > 0; count--)
          fields.push(
            `x-${Math.floor(random() * 12)}`,
            random() < 0.8 ? values[Math.floor(random() * 30)]! : letters(random, 128, 256, 300),
          )
        fields.push('authorization', 'Bearer t', 'content-length', '0')
        encoder.begin(sink)
        for (let at = 0; at < fields.length; at += 2) encoder.field(sink, fields[at]!, fields[at + 1]!)
        expected.set(place * 2 + 1, fields)
        return sink.take()
      })
      const { fields, broken } = await judge(server, blocks)
      assert.equal(broken, false, `seed ${seed}`)
      assert.deepEqual(fields, expected, `seed ${seed}`)
    }
  }),
)

/** The header blocks of a node:http2 client that sends `requests`; tableBytes: what we announce. */
async function clientBlocks(requests: http2.OutgoingHttpHeaders[], tableBytes: number): Promise<Buffer[]> {
  const blocks: Buffer[] = []
  const server = net.createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const all = new Promise<void>(resolve => {
    server.on('connection', socket => {
      socket.on('error', () => undefined)
      const announced = Buffer.alloc(6)
      announced.writeUInt16BE(1, 0)
      announced.writeUInt32BE(tableBytes, 2)
      socket.write(frame(SETTINGS, 0, 0, announced))
      frames(socket, PREFACE.length, (type, flags, payload) => {
        if (type !== HEADERS) return
        // nghttp2 puts the priority in front where the flag says so.
        blocks.push(Buffer.from(payload.subarray((flags & 0x20) !== 0 ? 5 : 0)))
        if (blocks.length === requests.length) resolve()
      })
    })
  })
  const client = http2.connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  client.on('error', () => undefined)
  await once(client, 'remoteSettings')
  for (const request of requests) client.request(request).on('error', () => undefined)
  await all
  client.destroy()
  server.close()
  await once(server, 'close')
  return blocks
}

test('we read what nghttp2 encodes, and see what it marks as never indexed', { timeout: 60_000 }, async () => {
  for (const tableBytes of [4096, 0, 100, 1000, 65_536]) {
    const random = dice(tableBytes + 1)
    const values = Array.from({ length: 20 }, () => letters(random, 33, 127, 200) || '-')
    const requests = Array.from({ length: 90 }, (_, number) => {
      const request: http2.OutgoingHttpHeaders = {
        ':method': 'POST',
        ':scheme': 'http',
        ':authority': 'host.test',
        ':path': `/${number % 7}`,
      }
      for (let count = random() * 12; count > 0; count--) request[`x-${Math.floor(random() * 20)}`] = values[Math.floor(random() * 20)]
      return { ...request, authorization: `Bearer ${number}` }
    })
    const decoder = new HpackDecoder(tableBytes)
    for (const [number, block] of (await clientBlocks(requests, tableBytes)).entries()) {
      const { result, fields } = decode(decoder, block)
      assert.equal(result, 0, decoder.problem)
      assert.deepEqual(fields, Object.entries(requests[number]!).flat(), `table of ${tableBytes}, request ${number}`)
      assert.deepEqual(decoder.neverIndexed, ['authorization'])
    }
  }
})
