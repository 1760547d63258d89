// A client that floods, dribbles, stalls or stays too long: each guard at its edge, and what a polite client may do beside it.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:http2'
import { describe, it } from 'node:test'
import {
  FLAG,
  frame,
  headerBlock,
  PADDED,
  PREFACE,
  PRIORITY,
  RawPeer,
  rawClient,
  request,
  settingsFrame,
  TYPE,
  uint32,
} from './raw-peer.js'
import { Echo, ServedStream, until } from './recorder.js'
import { http2Door } from './relay.js'

const END = FLAG.END_STREAM
const CALM = 11
// Below the limits of time, which would end the connection, too.
const CALM_MS = 9000
const bytes = (length: number) => Buffer.alloc(length)
const open = (id: number) => frame(TYPE.HEADERS, FLAG.END_HEADERS, id, headerBlock(request()))
const reset = (id: number) => frame(TYPE.RST, 0, id, uint32(8))
const many = (count: number, make: (at: number) => Buffer) => Buffer.concat(Array.from({ length: count }, (_, at) => make(at)))

describe('a flood', () => {
  const rows: [string, (peer: RawPeer) => Buffer][] = [
    [
      '20,000 CONTINUATION frames',
      () =>
        Buffer.concat([
          frame(TYPE.HEADERS, 0, 1, headerBlock(request())),
          many(20_000, () => frame(TYPE.CONTINUATION, 0, 1, headerBlock([['x', 'y']]))),
        ]),
    ],
    [
      'empty CONTINUATION frames',
      () => Buffer.concat([frame(TYPE.HEADERS, 0, 1, headerBlock(request())), many(1000, () => frame(TYPE.CONTINUATION, 0, 1))]),
    ],
    [
      'a header block of a megabyte',
      () =>
        Buffer.concat([frame(TYPE.HEADERS, 0, 1, headerBlock(request())), many(64, () => frame(TYPE.CONTINUATION, 0, 1, bytes(16_384)))]),
    ],
    ['SETTINGS', () => many(10_000, () => frame(TYPE.SETTINGS, 0, 0))],
    ['SETTINGS ACK', () => many(10_000, () => frame(TYPE.SETTINGS, FLAG.ACK, 0))],
    ['PING', () => many(10_000, () => frame(TYPE.PING, 0, 0, bytes(8)))],
    ['PRIORITY', () => many(10_000, () => frame(PRIORITY, 0, 1, bytes(5)))],
    ['empty DATA', () => Buffer.concat([open(1), many(10_000, () => frame(TYPE.DATA, 0, 1))])],
    ['DATA of padding only', () => Buffer.concat([open(1), many(10_000, () => frame(TYPE.DATA, PADDED, 1, Buffer.from([3, 0, 0, 0])))])],
    ['WINDOW_UPDATE of 1', () => many(10_000, () => frame(TYPE.WINDOW_UPDATE, 0, 0, uint32(1)))],
    ['unknown frames', () => many(10_000, () => frame(0xee, 0, 0))],
    ['RST_STREAM on a closed stream', () => Buffer.concat([open(1), many(10_000, () => reset(1))])],
    ['10,000 opened and reset streams', () => many(10_000, at => Buffer.concat([open(at * 2 + 1), reset(at * 2 + 1)]))],
    [
      '10,000 resets that we are provoked to by WINDOW_UPDATE 0',
      () => many(10_000, at => Buffer.concat([open(at * 2 + 1), frame(TYPE.WINDOW_UPDATE, 0, at * 2 + 1, uint32(0))])),
    ],
    [
      '10,000 resets that we are provoked to by PRIORITY of 4 bytes',
      () => many(10_000, at => Buffer.concat([open(at * 2 + 1), frame(PRIORITY, 0, at * 2 + 1, bytes(4))])),
    ],
    [
      '10,000 malformed heads',
      () => many(10_000, at => frame(TYPE.HEADERS, FLAG.END_HEADERS | END, at * 2 + 1, headerBlock([['x', 'y']]))),
    ],
    ['10,000 streams at once', () => many(10_000, at => open(at * 2 + 1))],
  ]
  for (const [title, make] of rows) {
    it(`of ${title}: GOAWAY ENHANCE_YOUR_CALM, and no more streams than allowed`, async () => {
      let worst = 0
      const live = new Set<ServedStream>()
      const door = await http2Door(
        stream => {
          const one: ServedStream = new (class extends ServedStream {
            override clientGone(why: string): void {
              super.clientGone(why)
              live.delete(one)
            }
          })(stream)
          live.add(one)
          worst = Math.max(worst, live.size)
        },
        { maxResetsPerSecond: 50 },
      )
      const peer = await rawClient(door.port)
      peer.send(make(peer))
      await peer.until('the end', one => one.isClosed || one.goawayCode !== -1, CALM_MS)
      assert.equal(peer.goawayCode, CALM)
      assert.ok(worst <= 250, `${worst} streams`)
      await until('no stream left', () => live.size === 0)
      peer.close()
      await door.close()
    })
  }

  it('of PINGs whose answers nobody reads ends the connection, and holds little', async () => {
    const door = await http2Door(stream => {
      new ServedStream(stream)
      stream.sendHead(200, [], 'later')
      for (let at = 0; at < 16; at++) stream.sendData(bytes(65_536), 0, 65_536)
    })
    const peer = await rawClient(door.port, [[4, 2 ** 31 - 1]])
    peer.socket.pause()
    peer.send(frame(TYPE.WINDOW_UPDATE, 0, 0, uint32(2 ** 30)))
    for (let id = 1; id < 100; id += 2) peer.headers(id, request(), END)
    const ping = frame(TYPE.PING, 0, 0, bytes(8))
    const timer = setInterval(() => peer.isClosed || peer.send(many(40, () => ping)), 10)
    await until('its end', () => door.connections.size === 0, CALM_MS)
    clearInterval(timer)
    peer.close()
    await door.close()
  })

  it('of requests whose answers nobody reads leaves no more open than allowed', async () => {
    let served = 0
    const door = await http2Door(stream => {
      new ServedStream(stream)
      served++
      stream.sendHead(200, ['x-fill', 'f'.repeat(8000)], 'now')
    })
    const peer = await rawClient(door.port)
    peer.socket.pause()
    for (let at = 0; at < 4000; at++) peer.headers(at * 2 + 1, request(), END)
    await until('it to stand still', () => served > 250)
    const before = served
    await new Promise(resolve => setTimeout(resolve, 300))
    // What the kernel and the wire take, and then one answer held per stream.
    assert.ok(served - before < 50 || served < 3500, `${served} answered`)
    peer.close()
    await door.close()
  })
})

describe('a polite client', () => {
  it('4,000 sequential cancels get no GOAWAY', async () => {
    const door = await http2Door(stream => new ServedStream(stream), { maxResetsPerSecond: 2000 })
    const session = connect(`http://127.0.0.1:${door.port}`)
    let goaway = 0
    session.on('goaway', () => goaway++)
    session.on('error', () => {})
    for (let at = 0; at < 4000; at++) {
      const stream = session.request({ ':method': 'POST', ':path': '/' })
      stream.on('error', () => {})
      await new Promise(resolve => setImmediate(resolve))
      stream.close(8)
      await once(stream, 'close')
    }
    assert.deepEqual([goaway, session.closed], [0, false])
    session.destroy()
    await door.close()
  })

  it('is slowed down, not cut off, a little above the allowance', async () => {
    let served = 0
    const door = await http2Door(
      stream => {
        served++
        new ServedStream(stream)
      },
      { maxResetsPerSecond: 20 },
    )
    const peer = await rawClient(door.port)
    for (let at = 0; at < 60; at++) {
      peer.send(open(at * 2 + 1), reset(at * 2 + 1))
      await until('it to be served', () => served > at)
    }
    assert.equal(peer.goawayCode, -1)
    peer.close()
    await door.close()
  })

  it('gets REFUSED_STREAM for a stream above MAX_CONCURRENT_STREAMS, and that one again when another has ended', async () => {
    const served: ServedStream[] = []
    const door = await http2Door(stream => served.push(new ServedStream(stream)), { maxStreams: 2 })
    const peer = await rawClient(door.port)
    for (const id of [1, 3, 5]) peer.headers(id, request(), END)
    await peer.until('RST_STREAM', one => one.resetCode(5) !== -1)
    assert.deepEqual([peer.resetCode(5), served.length], [7, 2])
    served[0]!.stream.sendHead(200, [], 'now')
    await peer.until('an answer', one => one.hasEnded(1))
    peer.headers(7, request(), END)
    await until('the fourth', () => served.length === 3)
    peer.close()
    await door.close()
  })

  it('may read slowly and send many window updates while it gets DATA', async () => {
    const door = await http2Door(stream => {
      new ServedStream(stream)
      stream.sendHead(200, [], 'later')
      let sent = 0
      const timer = setInterval(() => {
        for (let at = 0; at < 100; at++) stream.sendData(bytes(20), 0, 20)
        if (++sent < 100) return
        clearInterval(timer)
        stream.sendEnd([])
      }, 1)
    })
    const peer = await rawClient(door.port, [[4, 1 << 20]])
    peer.send(frame(TYPE.WINDOW_UPDATE, 0, 0, uint32(1 << 20)))
    let told = 0
    peer.socket.on('data', () => {
      const seen = peer.of(TYPE.DATA, 1).length
      for (; told < seen; told++) peer.send(frame(TYPE.WINDOW_UPDATE, 0, 0, uint32(20)), frame(TYPE.WINDOW_UPDATE, 0, 1, uint32(20)))
    })
    peer.headers(1, request(), END)
    await peer.until('the end', one => one.hasEnded(1) || one.isClosed)
    assert.deepEqual([peer.goawayCode, peer.body(1).length], [-1, 200_000])
    peer.close()
    await door.close()
  })
})

describe('limits of frames', () => {
  const block = headerBlock(request())
  /** The head of stream 1, an octet in each of its first CONTINUATIONs. */
  const cutUp = (continuations: number) => [
    frame(TYPE.HEADERS, END, 1, block.subarray(0, 1)),
    ...Array.from({ length: continuations }, (_, at) => {
      const last = at === continuations - 1
      return frame(TYPE.CONTINUATION, last ? FLAG.END_HEADERS : 0, 1, last ? block.subarray(at + 1) : block.subarray(at + 1, at + 2))
    }),
  ]
  const pings = (count: number) => Array.from({ length: count }, () => frame(TYPE.PING, 0, 0, bytes(8)))
  // SETTINGS of the greeting have cost 10, their acknowledgement 1.
  const GREETING = 11

  for (const [title, change, frames, isOver] of [
    ['maxContinuationFrames CONTINUATIONs', { maxContinuationFrames: 5 }, cutUp(5), false],
    ['one CONTINUATION more than maxContinuationFrames', { maxContinuationFrames: 5 }, cutUp(6), true],
    ['no CONTINUATION where there may be none', { maxContinuationFrames: 0 }, [open(1)], false],
    ['a CONTINUATION where there may be none', { maxContinuationFrames: 0 }, cutUp(1), true],
    ['4 x maxControlFramesPerSecond PINGs at once', { maxControlFramesPerSecond: 25 }, [...pings(100 - GREETING), open(1)], false],
    // A slow machine earns one in 40 ms.
    ['more PINGs than 4 x maxControlFramesPerSecond', { maxControlFramesPerSecond: 25 }, [...pings(150), open(1)], true],
  ] as const) {
    it(`${title}: ${isOver ? 'GOAWAY ENHANCE_YOUR_CALM' : 'the request behind them is served'}`, async () => {
      const served: ServedStream[] = []
      const door = await http2Door(stream => served.push(new ServedStream(stream)), change)
      const peer = await rawClient(door.port)
      await peer.until('the greeting', one => one.of(TYPE.SETTINGS).length === 2)
      peer.send(...frames)
      await until('what comes of it', () => peer.isClosed || served.length > 0)
      assert.deepEqual([peer.goawayCode, served.length], isOver ? [CALM, 0] : [-1, 1])
      peer.close()
      await door.close()
    })
  }

  it('PINGs that come no faster than maxControlFramesPerSecond may come for ever', async () => {
    const door = await http2Door(stream => new ServedStream(stream), { maxControlFramesPerSecond: 100 })
    const peer = await rawClient(door.port)
    const startMs = performance.now()
    // 350 at once, the others at 100 a second: all at once they were too many.
    let sent = 0
    while (sent < 600 && !peer.isClosed) {
      peer.send(...pings(10))
      sent += 10
      const dueMs = startMs + (Math.max(0, sent - 350) / 100) * 1000
      await new Promise(resolve => setTimeout(resolve, Math.max(0, dueMs - performance.now())))
    }
    assert.deepEqual([sent, peer.goawayCode], [600, -1])
    peer.close()
    await door.close()
  })
})

describe('a client that takes its time', () => {
  it('with the preface: closed after headerTimeoutMs', async () => {
    const door = await http2Door(stream => new ServedStream(stream), { headerTimeoutMs: 150 })
    const { connect: connectSocket } = await import('node:net')
    const socket = connectSocket({ port: door.port, host: '127.0.0.1' })
    const peer = new RawPeer(socket, 'client')
    peer.answers = false
    const startMs = performance.now()
    peer.send(PREFACE.subarray(0, 10))
    await peer.until('the end', one => one.isClosed)
    assert.ok(performance.now() - startMs >= 100)
    await door.close()
  })

  it('with its SETTINGS: closed after headerTimeoutMs', async () => {
    const door = await http2Door(stream => new ServedStream(stream), { headerTimeoutMs: 150 })
    const { connect: connectSocket } = await import('node:net')
    const peer = new RawPeer(connectSocket({ port: door.port, host: '127.0.0.1' }), 'client')
    peer.answers = false
    peer.send(PREFACE)
    await peer.until('the end', one => one.isClosed)
    await door.close()
  })

  it('with its first request: it is idle, and comes to a polite end after idleTimeoutMs', async () => {
    const door = await http2Door(stream => new ServedStream(stream), { headerTimeoutMs: 50, idleTimeoutMs: 400 })
    const peer = await rawClient(door.port)
    const startMs = performance.now()
    await peer.until('the end', one => one.isClosed)
    assert.ok(performance.now() - startMs > 250, 'a gRPC client connects ahead of its calls')
    assert.equal(peer.goawayCode, 0)
    await door.close()
  })

  it('with a call on a connection that was opened ahead: it is served, and its idle time begins anew behind it', async () => {
    const served: ServedStream[] = []
    const door = await http2Door(stream => served.push(new ServedStream(stream)), { headerTimeoutMs: 50, idleTimeoutMs: 800 })
    const peer = await rawClient(door.port)
    await new Promise(resolve => setTimeout(resolve, 150))
    peer.send(open(1))
    await until('the call', () => served.length === 1)
    await new Promise(resolve => setTimeout(resolve, 900))
    assert.equal(peer.isClosed, false, 'a call that runs is no idleness')
    peer.close()
    await door.close()
  })

  for (const [title, dribble] of [
    ['a header block that is not ended', frame(TYPE.HEADERS, 0, 3, headerBlock(request()))],
    ['a HEADERS frame that is not complete', open(3).subarray(0, 20)],
  ] as [string, Buffer][]) {
    it(`with ${title}: GOAWAY after headerTimeoutMs, though another stream runs`, async () => {
      const served: ServedStream[] = []
      const door = await http2Door(stream => served.push(new ServedStream(stream)), { headerTimeoutMs: 500 })
      const peer = await rawClient(door.port)
      peer.send(open(1))
      await until('the first', () => served.length === 1)
      peer.send(dribble)
      await peer.until('the end', one => one.isClosed)
      assert.deepEqual([peer.goawayCode, served[0]!.seen], [CALM, ['malformed']])
      await door.close()
    })
  }

  it('with its body: told after bodyTimeoutMs without a byte, so that it can be answered; other streams live', async () => {
    const served: ServedStream[] = []
    const door = await http2Door(stream => served.push(new ServedStream(stream)), { bodyTimeoutMs: 700 })
    const peer = await rawClient(door.port)
    peer.send(open(1))
    peer.headers(3, request(), END)
    for (let at = 0; at < 4; at++) {
      await new Promise(resolve => setTimeout(resolve, 200))
      peer.data(1, 'x', 0)
    }
    assert.equal(peer.resetCode(1), -1)
    await peer.until('RST_STREAM', one => one.resetCode(1) !== -1)
    assert.deepEqual(peer.of(TYPE.HEADERS, 1)[0]!.fields.slice(0, 2), [':status', '408'])
    assert.deepEqual([peer.resetCode(1), served[0]!.seen, served[1]!.seen, peer.resetCode(3)], [0, ['REQUEST_TOO_SLOW', 'sent'], [], -1])
    peer.close()
    await door.close()
  })

  it('with its body, and whoever serves it waits on: told again after as long a rest, until the answer has begun', async () => {
    const toldMs: number[] = []
    class Patient extends ServedStream {
      override requestFault(): void {
        if (toldMs.push(performance.now()) === 3) this.stream.sendHead(200, [], 'later')
      }
    }
    const door = await http2Door(stream => new Patient(stream), { bodyTimeoutMs: 100 })
    const peer = await rawClient(door.port)
    peer.send(open(1))
    peer.data(1, 'x', 0)
    await until('three times', () => toldMs.length === 3)
    assert.ok(toldMs[2]! - toldMs[0]! >= 196, String(toldMs))
    await new Promise(resolve => setTimeout(resolve, 250))
    assert.deepEqual([toldMs.length, peer.resetCode(1)], [3, -1])
    peer.close()
    await door.close()
  })

  it('with its body because we do not take it: it may wait', async () => {
    const served: ServedStream[] = []
    const door = await http2Door(stream => served.push(new ServedStream(stream, 'never')), { bodyTimeoutMs: 100 })
    const peer = await rawClient(door.port)
    peer.send(open(1))
    for (let at = 0; at < 16; at++) peer.data(1, bytes(16_384), 0)
    await until('all of it', () => served[0]?.body.length === 262_144)
    await new Promise(resolve => setTimeout(resolve, 400))
    assert.equal(peer.resetCode(1), -1)
    served[0]!.stream.grant(262_144)
    await peer.until('RST_STREAM', one => one.resetCode(1) !== -1)
    assert.equal(peer.of(TYPE.WINDOW_UPDATE, 1)[0]!.payload.readUInt32BE(0), 262_144)
    peer.close()
    await door.close()
  })

  it('with reading its answer: RST CANCEL after sendTimeoutMs, told as stalled; what moves is not stalled', async () => {
    const served: ServedStream[] = []
    const door = await http2Door(
      stream => {
        const one = new ServedStream(stream)
        served.push(one)
        stream.sendHead(200, [], 'later')
        stream.sendData(bytes(1000), 0, 1000)
      },
      { sendTimeoutMs: 1000 },
    )
    const peer = await rawClient(door.port, [[4, 100]])
    peer.headers(1, request(), END)
    for (let at = 0; at < 5; at++) {
      await new Promise(resolve => setTimeout(resolve, 250))
      peer.send(frame(TYPE.WINDOW_UPDATE, 0, 1, uint32(100)))
    }
    assert.equal(peer.resetCode(1), -1)
    await peer.until('RST_STREAM', one => one.resetCode(1) !== -1)
    assert.deepEqual([peer.resetCode(1), served[0]!.seen, served[0]!.drained, peer.body(1).length], [8, ['stalled'], 600, 600])
    peer.close()
    await door.close()
  })

  it('between requests: GOAWAY NO_ERROR after idleTimeoutMs, not while a stream is open', async () => {
    const served: ServedStream[] = []
    const door = await http2Door(stream => served.push(new ServedStream(stream)), { idleTimeoutMs: 150 })
    const peer = await rawClient(door.port)
    peer.headers(1, request(), END)
    await until('it', () => served.length === 1)
    await new Promise(resolve => setTimeout(resolve, 400))
    assert.equal(peer.goawayCode, -1)
    served[0]!.stream.sendHead(200, [], 'now')
    await peer.until('the end', one => one.isClosed)
    assert.deepEqual([peer.goawayCode, peer.of(TYPE.GOAWAY)[0]!.payload.readUInt32BE(0)], [0, 1])
    await door.close()
  })
})

describe('a connection that ends politely', () => {
  it('drains in two steps: GOAWAY 2^31-1, PING, GOAWAY of the last stream, and ends after its streams', async () => {
    const served: ServedStream[] = []
    const door = await http2Door(stream => served.push(new ServedStream(stream)))
    const peer = await rawClient(door.port)
    peer.answers = false
    peer.headers(1, request(), END)
    await until('it', () => served.length === 1)
    for (const connection of door.connections) connection.drain()
    await peer.until('PING', one => one.of(TYPE.PING).length === 1)
    peer.headers(3, request(), END)
    await until('the request that was on its way', () => served.length === 2)
    peer.send(frame(TYPE.PING, FLAG.ACK, 0, peer.of(TYPE.PING)[0]!.payload))
    await peer.until('the second GOAWAY', one => one.of(TYPE.GOAWAY).length === 2)
    assert.deepEqual(
      peer.of(TYPE.GOAWAY).map(one => one.payload.readUInt32BE(0)),
      [2 ** 31 - 1, 3],
    )
    peer.headers(5, request(), END)
    await peer.until('its refusal', one => one.resetCode(5) === 7)
    for (const one of served) one.stream.sendHead(200, [], 'now')
    await peer.until('the end', one => one.isClosed)
    assert.deepEqual([served.length, peer.hasEnded(1), peer.hasEnded(3)], [2, true, true])
    await door.close()
  })

  it('does not wait for a PING ACK that does not come', async () => {
    const door = await http2Door(stream => new ServedStream(stream))
    const peer = await rawClient(door.port)
    peer.answers = false
    await until('it', () => door.connections.size === 1)
    for (const connection of door.connections) connection.drain()
    await peer.until('the end', one => one.isClosed)
    assert.equal(peer.of(TYPE.GOAWAY).length, 2)
    await door.close()
  })

  it('after maxRequestsPerConnection requests, all of which are answered', async () => {
    const door = await http2Door(stream => new Echo(stream), { maxRequestsPerConnection: 3 })
    const peer = await rawClient(door.port)
    for (const id of [1, 3, 5]) peer.headers(id, request('/', [], 'GET'), END)
    await peer.until('the end', one => one.isClosed)
    assert.ok([1, 3, 5].every(id => peer.hasEnded(id)))
    assert.deepEqual(
      peer.of(TYPE.GOAWAY).map(one => one.payload.readUInt32BE(0)),
      [2 ** 31 - 1, 5],
    )
    await door.close()
  })

  it("after the client's own GOAWAY, when its streams have ended", async () => {
    const served: ServedStream[] = []
    const door = await http2Door(stream => served.push(new ServedStream(stream)))
    const peer = await rawClient(door.port, [[3, 10]])
    peer.headers(1, request(), END)
    peer.send(frame(TYPE.GOAWAY, 0, 0, bytes(8)), settingsFrame([]))
    await until('it', () => served.length === 1)
    served[0]!.stream.sendHead(200, [], 'now')
    await peer.until('the end', one => one.isClosed)
    assert.equal(peer.hasEnded(1), true)
    await door.close()
  })
})
