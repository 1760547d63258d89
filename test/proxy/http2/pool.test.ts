// How attempts are spread over the connections to one service: how many, how full, in which order, and what their ends do.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer as createHttp2Server } from 'node:http2'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Http2Pool } from '../../../src/proxy/upstream/http2-pool.js'
import { FLAG, frame, headerBlock, RawPeer, rawService, settingsFrame, TYPE, uint32 } from './raw-peer.js'
import { AttemptRecord, until, upstreamHead } from './recorder.js'

const END = FLAG.END_STREAM
const LIMITS = { maxConnections: 0, maxHeaderBytes: 16_384, maxHeaderFields: 100, idleMs: 60_000 }
const OK = headerBlock([[':status', '200']])
const answer = (id: number) => frame(TYPE.HEADERS, FLAG.END_HEADERS | END, id, OK)
const maxStreams = (count: number) => settingsFrame([[3, count]])

type Service = Awaited<ReturnType<typeof rawService>>

function poolOf(service: { port: number }, more: Partial<typeof LIMITS> = {}): Http2Pool {
  return new Http2Pool({ host: '127.0.0.1', port: service.port }, { ...LIMITS, ...more })
}

function openMany(pool: Http2Pool, count: number, timeoutMs = 5000) {
  return Array.from({ length: count }, (_, at) => {
    const record = new AttemptRecord()
    return { record, attempt: pool.open(upstreamHead({ target: `/${at}` }), record, timeoutMs) }
  })
}

/** Every request of every connection, answered as it comes; `worst`: most streams open at once on one of them. */
async function answeringService(settings: [number, number][]): Promise<Service & { worst: number; served: number }> {
  const state = { worst: 0, served: 0 }
  const service = await rawService(peer => {
    let done = 0
    let isPlanned = false
    const answerAll = () => {
      isPlanned = false
      const begun = peer.of(TYPE.HEADERS)
      state.worst = Math.max(state.worst, begun.length - done)
      peer.send(...begun.slice(done).map(one => answer(one.id)))
      state.served += begun.length - done
      done = begun.length
    }
    peer.socket.on('data', () => {
      if (!isPlanned) setTimeout(answerAll, 5)
      isPlanned = true
    })
  }, settings)
  return Object.assign(service, state, {
    get worst() {
      return state.worst
    },
    get served() {
      return state.served
    },
  })
}

const heads = (peer: RawPeer) => peer.of(TYPE.HEADERS)

describe('connections', () => {
  it('one serves up to 100 streams; beyond that up to four share them', async () => {
    const service = await rawService(() => {})
    const pool = poolOf(service)
    const first = openMany(pool, 1)
    await first[0]!.record.until(one => one.seen.includes('opened'))
    openMany(pool, 99)
    await until('100 streams', () => heads(service.peers[0]!).length === 100)
    assert.equal(service.peers.length, 1)
    // Each burst finds the earlier connections full and opens one more; the fifth finds four, and that is enough.
    for (let count = 2; count <= 5; count++) {
      openMany(pool, 150)
      await until('all streams', () => service.peers.reduce((sum, peer) => sum + heads(peer).length, 0) === 100 + (count - 1) * 150)
      await until('another connection', () => service.peers.length === Math.min(4, count))
    }
    const last = openMany(pool, 100)
    assert.equal(pool.load, 800)
    for (const { attempt } of last) attempt.cancel()
    assert.deepEqual([pool.load, service.peers.length], [700, 4])
    await service.close()
    await until('all to fail', () => pool.load === 0)
  })

  it('a service that allows 2 streams gets 40 calls, never more than 2 at once on a connection, in order, on no more than maxConnections', async () => {
    const service = await answeringService([[3, 2]])
    const pool = poolOf(service, { maxConnections: 3 })
    const calls = openMany(pool, 40)
    for (const { record } of calls) await record.done()
    assert.ok(calls.every(({ record }) => record.status === 200))
    assert.ok(service.worst <= 2, `${service.worst} at once`)
    assert.ok(service.peers.length <= 3, `${service.peers.length} connections`)
    for (const peer of service.peers) {
      const order = heads(peer).map(one => Number(one.fields[one.fields.indexOf(':path') + 1]!.slice(1)))
      assert.deepEqual(
        order,
        [...order].sort((a, b) => a - b),
      )
    }
    pool.retire()
    await service.close()
  })

  it('a service whose MAX_CONCURRENT_STREAMS is 0, then 1, then lowered in mid-flight, never sees one too many', async () => {
    const service = await rawService(() => {}, [[3, 0]])
    const pool = poolOf(service, { maxConnections: 1 })
    const calls = openMany(pool, 4)
    await until('a connection', () => service.peers.length === 1)
    const peer = service.peers[0]!
    await peer.until('its SETTINGS ACK', one => one.of(TYPE.SETTINGS).some(settings => settings.flags === FLAG.ACK))
    assert.equal(heads(peer).length, 0)
    peer.send(maxStreams(3))
    await peer.until('three', one => heads(one).length === 3)
    peer.send(maxStreams(1), answer(1), answer(3), frame(TYPE.PING, 0, 0, Buffer.alloc(8)))
    await peer.until('PING ACK', one => one.of(TYPE.PING).length === 1)
    assert.equal(heads(peer).length, 3)
    peer.send(answer(5))
    await peer.until('the fourth', one => heads(one).length === 4)
    peer.send(answer(7))
    for (const { record } of calls) await record.done()
    assert.deepEqual(
      calls.map(({ record }) => record.status),
      [200, 200, 200, 200],
    )
    pool.retire()
    await service.close()
  })

  it('what waits for a stream can be given up, and fails as a full queue when it waited connectTimeoutMs: busy is not sick', async () => {
    const service = await rawService(() => {}, [[3, 1]])
    const pool = poolOf(service, { maxConnections: 1 })
    const [first, second, third] = [...openMany(pool, 1), ...openMany(pool, 1, 600), ...openMany(pool, 1)]
    await first!.record.until(one => one.seen.includes('opened'))
    third!.attempt.cancel()
    assert.equal(pool.load, 2)
    await second!.record.done()
    assert.deepEqual([second!.record.failure?.code, second!.record.failure?.again], ['REQUEST_QUEUE_FULL', 'unsent'])
    assert.match(second!.record.failure!.message, /no stream was free/)
    assert.deepEqual([third!.record.seen, pool.load], [[], 1])
    service.peers[0]!.send(answer(1))
    await first!.record.done()
    assert.equal(pool.load, 0)
    pool.retire()
    await service.close()
  })

  it('beyond 10,000 that wait the next one fails at once, but not from within open', async () => {
    const service = await rawService(() => {}, [[3, 0]])
    const pool = poolOf(service, { maxConnections: 1 })
    const calls = openMany(pool, 10_000)
    const record = new AttemptRecord()
    pool.open(upstreamHead(), record, 5000)
    assert.equal(record.failure, null)
    await record.done()
    assert.equal(record.failure!.again, 'unsent')
    for (const { attempt } of calls) attempt.cancel()
    assert.equal(pool.load, 0)
    pool.retire()
    await service.close()
  })
})

describe('a connection that ends', () => {
  it('by our own cancels: before a service of node:http2 takes 1,000 of them for an attack, another connection has taken over', async () => {
    let goaways = 0
    const server = createHttp2Server()
    const sessions = new Set<{ destroy(): void }>()
    server.on('session', session => {
      sessions.add(session)
      session.on('error', () => goaways++)
    })
    server.on('stream', stream => stream.on('error', () => {}))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const pool = poolOf({ port: (server.address() as { port: number }).port })
    for (let round = 0; round < 50; round++) {
      const calls = openMany(pool, 50)
      for (const { record, attempt } of calls)
        if (!attempt.isOpen) await record.until(one => one.seen.includes('opened') || one.failure !== null)
      await new Promise(resolve => setTimeout(resolve, 2))
      for (const { record, attempt } of calls) {
        assert.equal(record.failure, null)
        attempt.cancel()
      }
    }
    assert.deepEqual([pool.load, goaways], [0, 0])
    assert.ok(sessions.size >= 3, `${sessions.size} connections`)
    pool.retire()
    for (const session of sessions) session.destroy()
    await new Promise(resolve => server.close(resolve))
  })

  it('with GOAWAY: streams up to the last id finish, those above fail unsent, a new connection is opened at once', async () => {
    const service = await rawService(() => {})
    const pool = poolOf(service)
    const calls = openMany(pool, 3)
    await until('three streams', () => service.peers.length === 1 && heads(service.peers[0]!).length === 3)
    const peer = service.peers[0]!
    peer.send(frame(TYPE.GOAWAY, 0, 0, Buffer.concat([uint32(2 ** 31 - 1), uint32(0)])))
    await until('a replacement', () => service.peers.length === 2)
    const [next] = openMany(pool, 1)
    await service.peers[1]!.until('the next call', one => heads(one).length === 1)
    peer.send(frame(TYPE.GOAWAY, 0, 0, Buffer.concat([uint32(3), uint32(0)])))
    await calls[2]!.record.done()
    assert.deepEqual([calls[2]!.record.failure?.again, calls[2]!.record.failure?.grpc], ['unsent', 14])
    peer.send(answer(1), answer(3))
    for (const at of [0, 1]) await calls[at]!.record.done()
    assert.deepEqual([calls[0]!.record.status, calls[1]!.record.status], [200, 200])
    await peer.until('its end', one => one.isClosed)
    service.peers[1]!.send(answer(1))
    await next!.record.done()
    pool.retire()
    await service.close()
  })

  it('by retire: idle ones go now, busy ones after their last stream, nothing new begins', async () => {
    const service = await rawService(() => {})
    const pool = poolOf(service)
    const [call] = openMany(pool, 1)
    await until('it', () => service.peers.length === 1 && heads(service.peers[0]!).length === 1)
    pool.retire()
    const [late] = openMany(pool, 1)
    await late!.record.done()
    assert.equal(late!.record.failure!.again, 'unsent')
    assert.equal(service.peers[0]!.isClosed, false)
    service.peers[0]!.send(answer(1))
    await call!.record.done()
    await service.peers[0]!.until('its end', one => one.isClosed)
    assert.equal(service.peers[0]!.goawayCode, 0)
    await service.close()
  })

  it('after idleMs without a stream; the next call opens another', async () => {
    const service = await answeringService([])
    const pool = poolOf(service, { idleMs: 100 })
    for (const count of [1, 2]) {
      const [call] = openMany(pool, 1)
      await call!.record.done()
      await service.peers[count - 1]!.until('its end', one => one.isClosed)
      assert.equal(service.peers.length, count)
    }
    await service.close()
  })

  it('a second connection that is refused fails nobody while the first lives', async () => {
    const service = await rawService(() => {}, [[3, 1]])
    let accepted = 0
    const door: Server = createServer(socket => {
      accepted++
      if (accepted > 1) {
        socket.resetAndDestroy()
        return
      }
      const peer = new RawPeer(socket, 'service')
      service.peers.push(peer)
      peer.send(maxStreams(1))
    })
    await new Promise<void>(resolve => door.listen(0, '127.0.0.1', resolve))
    const pool = poolOf({ port: (door.address() as { port: number }).port })
    const calls = openMany(pool, 2)
    await until('another try', () => accepted >= 2)
    await until('the first', () => service.peers[0] !== undefined && heads(service.peers[0]).length === 1)
    assert.deepEqual(
      calls.map(({ record }) => record.failure),
      [null, null],
    )
    const peer = service.peers[0]!
    peer.send(answer(1))
    await peer.until('the second', one => heads(one).length === 2)
    peer.send(answer(3))
    for (const { record } of calls) await record.done()
    assert.deepEqual(
      calls.map(({ record }) => record.status),
      [200, 200],
    )
    pool.retire()
    await service.close()
    await new Promise(resolve => door.close(resolve))
  })
})

it('a unix socket is an address like any other', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'h2-'))
  const socket = join(directory, 's.sock')
  const server = createServer(connection => {
    const peer = new RawPeer(connection, 'service')
    peer.send(settingsFrame([]))
    void peer.until('a request', one => heads(one).length === 1).then(() => peer.send(answer(1)))
  })
  await new Promise<void>(resolve => server.listen(socket, resolve))
  const pool = new Http2Pool({ socket }, LIMITS)
  const [call] = openMany(pool, 1)
  await call!.record.done()
  assert.equal(call!.record.status, 200)
  pool.retire()
  await new Promise(resolve => server.close(resolve))
  rmSync(directory, { recursive: true })
})
