// Both ends back to back over real connections: whatever sizes, windows and stalls, every byte arrives, in order and within its bounds.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type ClientHttp2Stream, connect, createServer as createHttp2Server, type Http2Server, type ServerHttp2Stream } from 'node:http2'
import { after, before, describe, it } from 'node:test'
import { WINDOW_BYTES } from '../../../src/proxy/stream.js'
import { Http2Pool } from '../../../src/proxy/upstream/http2-pool.js'
import { FLAG, frame, headerBlock, type RawPeer, rawClient, request, TYPE, uint32 } from './raw-peer.js'
import { ServedStream, until } from './recorder.js'
import { http2Door, Relay } from './relay.js'

const LIMITS = { maxConnections: 0, maxHeaderBytes: 65_536, maxHeaderFields: 200, idleMs: 60_000 }

/** A small generator, so that a failure can be repeated from its seed. */
function random(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** Bytes that say where they belong. */
function pattern(length: number, salt: number): Buffer {
  const out = Buffer.allocUnsafe(length)
  for (let at = 0; at < length; at++) out[at] = (at * 31 + (at >> 8) * 7 + salt) & 0xff
  return out
}

async function origin(
  serve: (stream: ServerHttp2Stream, headers: Record<string, string>) => void,
): Promise<{ port: number; close(): void }> {
  const server: Http2Server = createHttp2Server({ maxSessionMemory: 1000, settings: { initialWindowSize: 100_000 } })
  const sessions = new Set<{ destroy(): void }>()
  server.on('session', session => sessions.add(session.on('error', () => {})))
  server.on('stream', (stream, headers) =>
    serve(
      stream.on('error', () => {}),
      headers as Record<string, string>,
    ),
  )
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const close = () => {
    for (const session of sessions) session.destroy()
    server.close()
  }
  return { port: (server.address() as { port: number }).port, close }
}

describe('a relay of both ends, with node:http2 on either side', () => {
  let service: Awaited<ReturnType<typeof origin>>
  let pool: Http2Pool
  let door: Awaited<ReturnType<typeof http2Door>>
  before(async () => {
    service = await origin((stream, headers) => {
      if (headers[':path'] === '/echo') {
        stream.respond({ ':status': 200 }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'x-done': '1' }))
        stream.pipe(stream)
        return
      }
      const length = Number(headers['x-length'])
      stream.respond({ ':status': 200, 'content-length': length })
      stream.end(pattern(length, Number(headers['x-salt'])))
    })
    pool = new Http2Pool({ host: '127.0.0.1', port: service.port }, LIMITS)
    door = await http2Door(stream => new Relay(stream, pool))
  })
  after(async () => {
    pool.retire()
    await door.close()
    service.close()
  })

  it('200 echoes of random sizes, in random pieces, at once on one connection: all come back whole', async () => {
    const seed = Date.now() & 0xffff
    const next = random(seed)
    const session = connect(`http://127.0.0.1:${door.port}`, { maxSessionMemory: 1000 })
    const echo = async (salt: number) => {
      const body = pattern(Math.floor(next() ** 4 * 600_000), salt)
      const stream = session.request({ ':method': 'POST', ':path': '/echo' })
      let trailers: Record<string, unknown> = {}
      stream.on('trailers', got => {
        trailers = got
      })
      for (let at = 0; at < body.length; ) {
        const to = Math.min(body.length, at + 1 + Math.floor(next() * 40_000))
        stream.write(body.subarray(at, to))
        at = to
      }
      stream.end()
      const got = await collect(stream)
      assert.ok(got.equals(body), `seed ${seed}: ${got.length} of ${body.length} bytes`)
      assert.equal(trailers['x-done'], '1')
    }
    await Promise.all(Array.from({ length: 200 }, (_, salt) => echo(salt)))
    session.destroy()
    await until('no attempt left', () => pool.load === 0)
  })

  it('8 answers of 4 MiB beside each other are whole', async () => {
    const session = connect(`http://127.0.0.1:${door.port}`, { maxSessionMemory: 1000 })
    session.once('connect', () => session.setLocalWindowSize(1 << 20))
    await Promise.all(
      Array.from({ length: 8 }, async (_, salt) => {
        const got = await collect(session.request({ ':path': '/give', 'x-length': String(4 << 20), 'x-salt': String(salt) }))
        assert.ok(got.equals(pattern(4 << 20, salt)))
      }),
    )
    session.destroy()
  })

  it('a reader that stalls holds up nobody, and we hold no more for it than its windows', async () => {
    const session = connect(`http://127.0.0.1:${door.port}`, { maxSessionMemory: 1000 })
    const stalled = session.request({ ':path': '/give', 'x-length': String(64 << 20), 'x-salt': '1' }).on('error', () => {})
    await once(stalled, 'response')
    stalled.pause()
    session.setLocalWindowSize(64 << 20)
    const before = process.memoryUsage()
    for (let at = 0; at < 50; at++) {
      const got = await collect(session.request({ ':path': '/give', 'x-length': '1000', 'x-salt': '2' }))
      assert.equal(got.length, 1000)
    }
    const grown = process.memoryUsage().arrayBuffers - before.arrayBuffers
    assert.ok(grown < 32 << 20, `${grown} bytes more`)
    session.destroy()
  })
})

describe('windows', () => {
  it('random ones of a raw client: never a byte too many, and all bytes in the end', async () => {
    const seed = Date.now() & 0xffff
    const next = random(seed)
    const sizes = Array.from({ length: 30 }, () => Math.floor(next() ** 3 * 300_000))
    const served: ServedStream[] = []
    const door = await http2Door(stream => {
      const at = served.push(new ServedStream(stream)) - 1
      stream.sendHead(200, [], 'later')
      const body = pattern(sizes[at]!, at)
      for (let from = 0; from < body.length; from += 10_007) stream.sendData(body, from, Math.min(body.length, from + 10_007))
      stream.sendEnd([])
    })
    const windows = new Map<number, number>()
    const initial = 1000
    let connection = 65_535
    const peer = await rawClient(door.port, [[4, initial]])
    for (let at = 0; at < sizes.length; at++) {
      windows.set(at * 2 + 1, initial)
      peer.headers(at * 2 + 1, request(), FLAG.END_STREAM)
    }
    const counted = new Map<number, number>()
    let frames = 0
    while (![...windows.keys()].every(id => peer.hasEnded(id))) {
      await peer.until('anything more', one => one.frames.length > frames || [...windows.keys()].every(id => one.hasEnded(id)))
      for (; frames < peer.frames.length; frames++) {
        const one = peer.frames[frames]!
        if (one.type !== TYPE.DATA) continue
        counted.set(one.id, (counted.get(one.id) ?? 0) + one.payload.length)
        windows.set(one.id, windows.get(one.id)! - one.payload.length)
        connection -= one.payload.length
        assert.ok(windows.get(one.id)! >= 0 && connection >= 0, `seed ${seed}: beyond a window`)
      }
      // Some window opens by something, and the connection's too, or nothing more can come.
      const updates: Buffer[] = []
      for (const [id, window] of windows) {
        if (peer.hasEnded(id) || next() < 0.3) continue
        const bytes = 1 + Math.floor(next() ** 2 * 60_000)
        windows.set(id, window + bytes)
        updates.push(frame(TYPE.WINDOW_UPDATE, 0, id, uint32(bytes)))
      }
      const bytes = 1 + Math.floor(next() * 400_000)
      connection += bytes
      updates.push(frame(TYPE.WINDOW_UPDATE, 0, 0, uint32(bytes)), frame(TYPE.PING, 0, 0, Buffer.alloc(8)))
      peer.send(...updates)
    }
    for (const [at, size] of sizes.entries()) {
      assert.ok(peer.body(at * 2 + 1).equals(pattern(size, at)), `seed ${seed}: stream ${at}`)
      assert.deepEqual([served[at]!.drained, served[at]!.seen], [size, ['sent']])
    }
    peer.close()
    await door.close()
  })

  it('a client may send WINDOW_BYTES on each stream ungranted, and the connection goes on for others', async () => {
    const served: ServedStream[] = []
    const door = await http2Door(stream => served.push(new ServedStream(stream, served.length < 40 ? 'never' : 'at once')))
    const peer = await rawClient(door.port)
    // 40 stalled streams take 10 MiB: more than the connection's window, which must have been told anew.
    for (let at = 0; at < 40; at++) {
      peer.send(frame(TYPE.HEADERS, FLAG.END_HEADERS, at * 2 + 1, headerBlock(request())))
      await fill(peer, at * 2 + 1, WINDOW_BYTES)
    }
    await until('all of it', () => served.length === 40 && served.every(one => one.body.length === WINDOW_BYTES), 10_000)
    assert.equal(peer.of(TYPE.WINDOW_UPDATE).filter(one => one.id !== 0).length, 0)
    peer.headers(101, request(), 0)
    await fill(peer, 101, 200_000)
    peer.data(101, '', FLAG.END_STREAM)
    await until('the free one', () => served[40]?.trailers !== null && served[40] !== undefined)
    assert.equal(served[40]!.body.length, 200_000)
    served[0]!.stream.grant(WINDOW_BYTES)
    await peer.until('its window', one => one.of(TYPE.WINDOW_UPDATE, 1).length === 1)
    assert.equal(peer.goawayCode, -1)
    peer.close()
    await door.close()
  })

  it('beyond 16 MiB that nobody takes the connection gets no more window, and gets it when somebody takes', async () => {
    const served: ServedStream[] = []
    const door = await http2Door(stream => served.push(new ServedStream(stream, 'never')))
    const peer = await rawClient(door.port)
    let room = 65_535
    let seen = 0
    let sent = 0
    const windowLeft = () => {
      const updates = peer.of(TYPE.WINDOW_UPDATE, 0)
      for (; seen < updates.length; seen++) room += updates[seen]!.payload.readUInt32BE(0)
      return room
    }
    const sendTo = async (id: number) => {
      peer.send(frame(TYPE.HEADERS, FLAG.END_HEADERS, id, headerBlock(request())))
      for (let left = WINDOW_BYTES; left > 0 && windowLeft() > 0; ) {
        const bytes = Math.min(left, 16_384, windowLeft())
        peer.data(id, Buffer.alloc(bytes), 0)
        left -= bytes
        room -= bytes
        sent += bytes
        // No more within a second: there is none to come.
        if (windowLeft() <= 0) await peer.until('window', () => windowLeft() > 0, 1000).catch(() => {})
      }
    }
    await peer.until('SETTINGS', one => one.of(TYPE.WINDOW_UPDATE, 0).length === 1)
    for (let at = 0; at < 100 && windowLeft() > 0; at++) await sendTo(at * 2 + 1)
    assert.ok(sent >= 16 << 20 && sent <= 20 << 20, `${sent} bytes`)
    for (const one of served) one.stream.grant(WINDOW_BYTES)
    await peer.until('more window', () => windowLeft() > 0)
    peer.close()
    await door.close()
  })
})

async function fill(peer: RawPeer, id: number, bytes: number): Promise<void> {
  for (let left = bytes; left > 0; left -= 16_384) peer.data(id, Buffer.alloc(Math.min(left, 16_384)), 0)
  await new Promise(resolve => setTimeout(resolve, 2))
}

async function collect(stream: ClientHttp2Stream): Promise<Buffer> {
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(stream, 'close')
  assert.equal(stream.rstCode, 0)
  return Buffer.concat(chunks)
}
