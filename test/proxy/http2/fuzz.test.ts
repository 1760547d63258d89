// Random and broken sessions against both ends, without a network: nothing is thrown, nothing is kept, and how the bytes are cut changes nothing.
// FUZZ_RUNS raises the number of sessions per end; a failure names its seed.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ClientConnection, type ClientConnectionOwner } from '../../../src/proxy/http2/client-connection.js'
import { Http2Attempt } from '../../../src/proxy/http2/client-stream.js'
import { ServerConnection } from '../../../src/proxy/http2/server-connection.js'
import { Wire } from '../../../src/proxy/wire.js'
import { PLAIN_PROXY } from '../../core/fixture-proxy.js'
import { FLAG, frame, headerBlock, PREFACE, request, settingsFrame, TYPE, uint32 } from './raw-peer.js'
import { AttemptRecord, Echo, upstreamHead } from './recorder.js'
import { Sink } from './sink.js'

const RUNS = Number(process.env.FUZZ_RUNS ?? 4000)

type Random = (below: number) => number

function random(seed: number): Random {
  let state = (seed * 2_654_435_761 + 1) >>> 0
  return below => {
    state ^= state << 13
    state ^= state >>> 17
    state = (state ^ (state << 5)) >>> 0
    return state % below
  }
}

const REQUEST = headerBlock(request('/f', [['content-type', 'application/grpc']]))
const ANSWER = headerBlock([[':status', '200']])
const TRAILERS = headerBlock([['grpc-status', '0']])
const REQUESTS = [REQUEST, REQUEST, TRAILERS]
const ANSWERS = [ANSWER, TRAILERS, ANSWER]

/** One frame, mostly sound.  count: how many came before it: a client's next stream is the one after them. */
function anyFrame(next: Random, blocks: Buffer[], count: number): Buffer {
  const id = next(12) === 0 ? next(20) : next(count + 1) * 2 + 1
  if (next(3) > 0) {
    const latest = count * 2 + 1
    if (count < 3) return frame(TYPE.HEADERS, FLAG.END_HEADERS | next(2), latest, blocks[0]!)
    const kind = next(4)
    if (kind < 2) return frame(TYPE.HEADERS, FLAG.END_HEADERS | next(2), kind === 0 || blocks === ANSWERS ? id : latest, blocks[next(2)]!)
    if (kind === 2) return frame(TYPE.DATA, next(2), id, Buffer.from('some bytes'))
    return frame(TYPE.WINDOW_UPDATE, 0, next(2) * id, uint32(1 + next(5000)))
  }
  const flags = next(4) === 0 ? next(64) : FLAG.END_HEADERS * next(2) + next(2)
  const bytes = () => Buffer.from(Array.from({ length: next(40) }, () => next(256)))
  switch (next(12)) {
    case 0:
    case 1:
    case 2:
      return frame(TYPE.HEADERS, FLAG.END_HEADERS | next(2), id, blocks[next(blocks.length)]!)
    case 3:
    case 4:
      return frame(TYPE.DATA, next(6) === 0 ? flags : next(2), id, bytes())
    case 5:
      return frame(TYPE.HEADERS, flags, id, next(3) === 0 ? bytes() : blocks[next(blocks.length)]!)
    case 6:
      return frame(TYPE.CONTINUATION, flags, id, bytes())
    case 7:
      return frame(TYPE.RST, 0, id, uint32(next(14)))
    case 8:
      return frame(TYPE.WINDOW_UPDATE, 0, next(2) * id, uint32(next(3) === 0 ? next(2 ** 31) : next(1000)))
    case 9:
      return settingsFrame([[next(10), next(4) === 0 ? next(2 ** 31) : next(70_000)]])
    case 10:
      return frame(next(2) === 0 ? TYPE.PING : TYPE.GOAWAY, next(2), 0, Buffer.alloc(8))
    default:
      return frame(next(14), next(256), id, bytes())
  }
}

function session(next: Random, first: Buffer[], blocks: Buffer[]): Buffer {
  const frames = Array.from({ length: 1 + next(14) }, (_, at) => anyFrame(next, blocks, at))
  const bytes = Buffer.concat([...first, ...frames])
  if (next(3) === 0) for (let count = 1 + next(4); count > 0; count--) bytes[next(bytes.length)] = next(256)
  return bytes
}

/** Feeds the bytes in pieces of at most `most`; returns all that came back. */
function feed(connection: ServerConnection | ClientConnection, sink: Sink, bytes: Buffer, most: number, next: Random): string {
  for (let at = 0; at < bytes.length; ) {
    const to = Math.min(bytes.length, at + 1 + next(most))
    // As a read buffer: what is used after the call is no longer there.
    const chunk = Buffer.from(bytes.subarray(at, to))
    connection.received(chunk, 0, chunk.length)
    chunk.fill(0xaa)
    at = to
  }
  connection.wire.flush()
  return Buffer.concat(sink.chunks).toString('hex')
}

function serve(bytes: Buffer, most: number, next: Random): string {
  const sink = new Sink()
  const wire = Wire.over(sink, 'c')
  const served: Echo[] = []
  const options = {
    settings: PLAIN_PROXY,
    scheme: 'http',
    serve: (stream: never) => served.push(new Echo(stream)),
    refused: () => {},
    isDraining: () => false,
    closed: () => {},
  }
  const connection = new ServerConnection(wire, options as never)
  wire.owner = connection
  const out = feed(connection, sink, bytes, most, next)
  connection.closed(null)
  assert.equal(connection.streams.size, 0)
  for (const one of served) {
    const last = one.seen.filter(word => word !== 'end')
    assert.equal(last.length, 1, `ends of a stream: ${one.seen.join(' ')}`)
  }
  return out
}

function ask(bytes: Buffer, most: number, next: Random): string {
  const sink = new Sink()
  const wire = Wire.over(sink, '')
  const owner: ClientConnectionOwner = { hasRoom: () => {}, leaves: () => {}, failedToOpen: () => {}, streamEnded: () => {} }
  const limits = { maxConnections: 0, maxHeaderBytes: 8192, maxHeaderFields: 100, idleMs: 60_000 }
  type Making = new (wire: Wire, limits: object, owner: ClientConnectionOwner) => ClientConnection
  const connection = new (ClientConnection as unknown as Making)(wire, limits, owner)
  wire.owner = connection
  connection.received(settingsFrame([]), 0, 9)
  const records: AttemptRecord[] = []
  for (let at = 0; at < 5; at++) {
    const record = new AttemptRecord()
    const attempt = new Http2Attempt(upstreamHead({ bodyless: at % 2 === 0 }), record, { waitEnded: () => {} })
    connection.begin(attempt)
    if (at === 3) attempt.sendData(bytes, 0, Math.min(bytes.length, 50))
    if (at === 4) attempt.cancel()
    else records.push(record)
  }
  const out = feed(connection, sink, bytes, most, next)
  connection.closed(null)
  assert.equal(connection.streams.size, 0)
  for (const record of records) {
    const ends = record.seen.filter(word => word === 'end' || word === 'failed' || word === 'head and end')
    assert.equal(ends.length, 1, `ends of an attempt: ${record.seen.join(' ')}`)
    assert.equal(record.seen.at(-1), ends[0])
  }
  return out
}

describe('a session of random frames', () => {
  for (const [title, run, first, blocks] of [
    ['a client', serve, [PREFACE, settingsFrame([])], REQUESTS],
    ['a service', ask, [], ANSWERS],
  ] as [string, typeof serve, Buffer[], Buffer[]][]) {
    it(`of ${title}: ${RUNS} of them end every stream once, whole as in pieces`, () => {
      const from = Date.now() & 0xffff_ffff
      for (let seed = from; seed < from + RUNS; seed++) {
        const bytes = session(random(seed), first, blocks)
        try {
          const whole = run(bytes, 1 << 20, random(seed))
          assert.equal(run(bytes, 1 + (seed % 30), random(seed)), whole, 'cut in pieces the answer is another')
        } catch (error) {
          throw new Error(`seed ${seed}`, { cause: error })
        }
      }
    })
  }
})
