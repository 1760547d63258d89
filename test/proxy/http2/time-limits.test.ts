// The limits of HTTP/2 that no configuration names: a SETTINGS ACK within 30 s, and a PING after five silent minutes.  Timers and clock are faked.
import assert from 'node:assert/strict'
import { after, before, describe, it, mock } from 'node:test'
import { ClientConnection, type ClientConnectionOwner } from '../../../src/proxy/http2/client-connection.js'
import { Http2Attempt } from '../../../src/proxy/http2/client-stream.js'
import { ServerConnection } from '../../../src/proxy/http2/server-connection.js'
import type { ClientStream } from '../../../src/proxy/stream.js'
import { Wire } from '../../../src/proxy/wire.js'
import { PLAIN_PROXY } from '../../core/fixture-proxy.js'
import { FLAG, frame, headerBlock, PREFACE, request, settingsFrame, TYPE, uint32 } from './raw-peer.js'
import { AttemptRecord, ServedStream, upstreamHead } from './recorder.js'
import { Sink } from './sink.js'

const SETTINGS_TIMEOUT = 4
const MINUTES = 60_000
const HOUR = 60 * MINUTES
const ACK = frame(TYPE.SETTINGS, FLAG.ACK, 0)
const PING = frame(TYPE.PING, 0, 0, Buffer.from('alive yet').subarray(0, 8))
const PONG = frame(TYPE.PING, FLAG.ACK, 0, Buffer.from('alive yet').subarray(0, 8))

/** A connection without a network. */
class Line {
  readonly sink = new Sink()
  readonly wire = Wire.over(this.sink, 'c')

  receive(...bytes: Buffer[]): void {
    const chunk = Buffer.concat(bytes)
    this.wire.owner!.received(chunk, 0, chunk.length)
  }

  /** What has been sent since the last look. */
  sent(): Buffer {
    this.wire.flush()
    return Buffer.concat(this.sink.chunks.splice(0))
  }

  end(): void {
    this.wire.owner!.closed(null)
    this.sink.destroy()
  }
}

function fromClient(): Line & { served: ServedStream[] } {
  const line = Object.assign(new Line(), { served: [] as ServedStream[] })
  const serve = (stream: ClientStream) => line.served.push(new ServedStream(stream))
  const settings = { ...PLAIN_PROXY, headerTimeoutMs: HOUR, bodyTimeoutMs: HOUR, idleTimeoutMs: HOUR }
  line.wire.owner = new ServerConnection(line.wire, {
    settings,
    scheme: 'http',
    serve,
    refused: () => {},
    isDraining: () => false,
    closed: () => {},
  })
  line.receive(PREFACE, settingsFrame([]))
  line.receive(frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, 1, headerBlock(request())))
  return line
}

/** With one call under way. */
function toService(): Line & { connection: ClientConnection; record: AttemptRecord; call(): AttemptRecord } {
  const line = new Line()
  const owner: ClientConnectionOwner = { hasRoom: () => {}, leaves: () => {}, failedToOpen: () => {}, streamEnded: () => {} }
  const limits = { maxConnections: 0, maxHeaderBytes: 8192, maxHeaderFields: 100, idleMs: HOUR }
  type Making = new (wire: Wire, limits: object, owner: ClientConnectionOwner) => ClientConnection
  const connection = new (ClientConnection as unknown as Making)(line.wire, limits, owner)
  line.wire.owner = connection
  line.receive(settingsFrame([]))
  const call = () => {
    const record = new AttemptRecord()
    connection.begin(new Http2Attempt(upstreamHead(), record, { waitEnded: () => {} }))
    return record
  }
  return Object.assign(line, { connection, record: call(), call })
}

const answer = (id: number) => frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM, id, headerBlock([[':status', '200']]))
/** The error code of a GOAWAY, the only frame; -1: nothing was sent. */
function goawayCode(sent: Buffer): number {
  if (sent.length === 0) return -1
  assert.equal(sent[3], TYPE.GOAWAY, sent.toString('hex'))
  assert.equal(sent.length, 9 + sent.readUIntBE(0, 3))
  return sent.readUInt32BE(13)
}

let nowMs = 1000
function advance(ms: number): void {
  nowMs += ms
  mock.timers.tick(ms)
}

before(() => {
  mock.timers.enable({ apis: ['setTimeout'] })
  mock.method(performance, 'now', () => nowMs)
})
after(() => mock.reset())

describe('SETTINGS that are not acknowledged within 30 s', () => {
  it('end a client’s connection with SETTINGS_TIMEOUT, and its requests; not a millisecond before', () => {
    const line = fromClient()
    line.sent()
    advance(29_999)
    assert.deepEqual([goawayCode(line.sent()), line.served[0]!.seen], [-1, []])
    advance(1)
    assert.deepEqual([goawayCode(line.sent()), line.served[0]!.seen], [SETTINGS_TIMEOUT, ['malformed']])
    line.end()
  })

  it('end a service’s connection with SETTINGS_TIMEOUT, and its calls as a fault of the service; not a millisecond before', () => {
    const line = toService()
    line.sent()
    advance(29_999)
    assert.deepEqual([goawayCode(line.sent()), line.record.failure], [-1, null])
    advance(1)
    assert.equal(goawayCode(line.sent()), SETTINGS_TIMEOUT)
    const { code, again, grpc, message } = line.record.failure!
    assert.deepEqual([code, again, grpc], ['UPSTREAM_PROTOCOL', 'no', 13])
    assert.match(message, /SETTINGS were not acknowledged/)
    line.end()
  })

  for (const [role, open] of [
    ['client', fromClient],
    ['service', toService],
  ] as const) {
    it(`do not trouble a ${role} that acknowledges them at the last moment`, () => {
      const line = open()
      line.sent()
      advance(29_999)
      line.receive(ACK)
      advance(60_000)
      assert.equal(goawayCode(line.sent()), -1)
      line.end()
    })
  }
})

describe('a service that is silent while calls are under way', () => {
  const opened = () => {
    const line = toService()
    line.receive(ACK)
    line.sent()
    return line
  }

  it('gets one PING after five minutes, and no other for five more: gRPC servers count more as a strike (rule 22)', () => {
    const line = opened()
    advance(5 * MINUTES - 1)
    assert.equal(line.sent().length, 0)
    advance(1)
    assert.deepEqual(line.sent(), PING)
    advance(19_999)
    line.receive(PONG)
    // The answer was a sign of life: five minutes count from it.
    advance(5 * MINUTES - 1)
    assert.deepEqual([line.sent().length, line.record.failure], [0, null])
    advance(1)
    assert.deepEqual(line.sent(), PING)
    line.receive(PONG)
    advance(20_000)
    assert.equal(line.record.failure, null)
    line.end()
  })

  it('and does not answer the PING within 20 s is gone: its calls fail as on a lost connection', async () => {
    const line = opened()
    advance(5 * MINUTES)
    assert.deepEqual(line.sent(), PING)
    advance(19_999)
    await new Promise(setImmediate)
    assert.deepEqual([line.sink.destroyed, line.record.failure], [false, null])
    advance(1)
    await new Promise(setImmediate)
    assert.equal(line.sink.destroyed, true)
    assert.deepEqual([line.record.failure?.code, line.record.failure?.again, line.record.failure?.grpc], ['UPSTREAM_BROKEN', 'no', 14])
  })

  it('is asked nothing while anything comes from it', () => {
    const line = opened()
    for (let minute = 1; minute <= 30; minute += 3) {
      advance(3 * MINUTES)
      line.receive(frame(TYPE.WINDOW_UPDATE, 0, 0, uint32(1)))
      assert.equal(line.sent().length, 0)
    }
    line.end()
  })

  it('is asked nothing when no call is under way, and again five minutes after the next one has begun', () => {
    const line = opened()
    line.receive(answer(1))
    assert.equal(line.record.status, 200)
    advance(20 * MINUTES)
    assert.equal(line.sent().length, 0)
    const second = line.call()
    line.sent()
    advance(5 * MINUTES - 1)
    assert.equal(line.sent().length, 0)
    advance(1)
    assert.deepEqual(line.sent(), PING)
    line.receive(PONG)
    assert.equal(second.failure, null)
    line.end()
  })
})
