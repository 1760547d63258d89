// Whatever of a client's HTTP/2 session we pass on, nghttp2 (inside node:http2) reads the same: heads, bodies, trailers, and that it is a request at all.
// Ours may be the stricter one.  FUZZ_RUNS raises the number of sessions, FUZZ_SEED says another beginning.
//
// Named deviations, none of which lets one of us see a request that the other does not:
// 1. Where a frame is a fault of one stream for us (RST_STREAM; and what follows on that stream is ignored, RFC 9113 5.1 and 5.4.2), nghttp2 may end the
//    connection: DATA on a half-closed stream, PRIORITY of a wrong length or on itself, HEADERS and WINDOW_UPDATE on what was reset.  Up to that frame both agree.
// 2. Trailers that hold what no trailer may: nghttp2 counts a content-length among them; with us they do not go on (core/headers.ts, hostile row 63).
// 3. An ACK to nothing, which node:http2 ends a session for, and what follows a client's GOAWAY, which it does not read: left out (two-readers.ts).
// 4. SETTINGS_NO_RFC7540_PRIORITIES is a number without meaning to us; nghttp2 checks it: the generator does not use it.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { manySeeds } from '../many-seeds.js'
import { mutatedSession } from './mutated-session.js'
import { FLAG, frame, headerBlock, PREFACE, request, settingsFrame, TYPE } from './raw-peer.js'
import { comparable, endedAt, type OurReading, readByNghttp2, readByUs, type TakenRequest } from './two-readers.js'

const RUNS = Number(process.env.FUZZ_RUNS ?? 6000)
const SEED = Number(process.env.FUZZ_SEED ?? 9113)

/** How many requests both have read whole. */
async function compare(frames: Buffer[]): Promise<number> {
  const ours = readByUs(frames)
  const taken = withoutOpenBlock(frames.slice(0, ours.frames))
  const theirs = await readByNghttp2(taken, ours.ends)
  const facts = `${theirs.problem}\n${taken
    .map(one => one.toString('latin1'))
    .map(one => JSON.stringify(one))
    .join('\n')}`
  if (theirs.problem !== '') {
    const at = await endedAt(taken)
    assert.ok(isStreamFault(taken, at, ours), `nghttp2 ends the connection at frame ${at}, we do not: ${facts}`)
    return compare(taken.slice(0, at))
  }
  let whole = 0
  for (const [id, mine] of ours.requests) {
    const other = theirs.requests.get(id)
    assert.ok(other !== undefined, `nghttp2 refuses stream ${id}: ${facts}`)
    assert.deepEqual(headOf(other), headOf(mine), facts)
    if (ours.stripped.has(id) && other.trailers === null) continue
    if (mine.trailers !== null) {
      assert.deepEqual(other.trailers, mine.trailers, `the end of stream ${id}: ${facts}`)
      assert.equal(other.body, mine.body, facts)
      whole++
    } else if (!mine.isGone) {
      assert.equal(other.isGone, false, `nghttp2 refuses stream ${id} later: ${facts}`)
      assert.equal(other.body, mine.body, facts)
    }
  }
  // Nothing is lost between the two, either: what we do not pass on we refuse.
  for (const [id] of theirs.requests)
    assert.ok(ours.requests.has(id) || ours.refused.has(id), `stream ${id} is neither served nor refused: ${facts}`)
  return whole
}

function headOf({ method, target, authority, fields }: TakenRequest) {
  return { method, target, authority, fields }
}

const isOpen = (one: Buffer) => (one[3] === TYPE.HEADERS || one[3] === TYPE.CONTINUATION) && (one[4]! & FLAG.END_HEADERS) === 0

/** We judge a header block when it is complete, nghttp2 as it comes. */
function withoutOpenBlock(frames: Buffer[]): Buffer[] {
  let length = frames.length
  while (length > 1 && isOpen(frames[length - 1]!)) length--
  return frames.slice(0, length)
}

/** Is the frame, or the end of the header block that it begins, one that we answered with a reset, or one on a stream that we have reset? */
function isStreamFault(frames: Buffer[], at: number, ours: OurReading): boolean {
  const id = frames[at]!.readUInt32BE(5) & 0x7fff_ffff
  let last = at
  if (frames[at]![3] === TYPE.HEADERS) while (last < frames.length - 1 && isOpen(frames[last]!)) last++
  return ours.faults.has(last) || ours.refused.has(id)
}

const blockFrame = (id: number, fields: [string, string][], flags: number) =>
  frame(TYPE.HEADERS, FLAG.END_HEADERS | flags, id, headerBlock(fields))
const dataFrame = (id: number, text: string, flags: number) => frame(TYPE.DATA, flags, id, Buffer.from(text, 'latin1'))
const END = FLAG.END_STREAM
const smuggled = (more: [string, string][], path = '/smuggled') => request(path, more)

// Where two readers once differed, here or elsewhere; each is what an attacker would send.
const ATTACKS: [string, Buffer[]][] = [
  ['a body longer than its length', [blockFrame(1, smuggled([['content-length', '0']]), 0), dataFrame(1, 'GET /x HTTP/1.1\r\n\r\n', END)]],
  ['a body shorter than its length', [blockFrame(1, smuggled([['content-length', '9']]), 0), dataFrame(1, 'x', END)]],
  ['a length and no body', [blockFrame(1, smuggled([['content-length', '9']]), END)]],
  [
    'two lengths',
    [
      blockFrame(
        1,
        smuggled([
          ['content-length', '1'],
          ['content-length', '1'],
        ]),
        0,
      ),
      dataFrame(1, 'x', END),
    ],
  ],
  ['a length that is a list', [blockFrame(1, smuggled([['content-length', '1, 1']]), 0), dataFrame(1, 'x', END)]],
  ['a length beyond 64 bits', [blockFrame(1, smuggled([['content-length', '18446744073709551617']]), 0), dataFrame(1, 'x', END)]],
  ['a transfer-encoding', [blockFrame(1, smuggled([['transfer-encoding', 'chunked']]), 0), dataFrame(1, '0\r\n\r\n', END)]],
  ['a line end in a value', [blockFrame(1, smuggled([['x', 'a\r\ntransfer-encoding: chunked']]), END)]],
  ['a line end in a name', [blockFrame(1, smuggled([['x: a\r\ny', 'b']]), END)]],
  ['a line end in the path', [blockFrame(1, request('/ HTTP/1.1\r\nhost: h\r\n\r\nGET /smuggled'), END)]],
  ['a space in the method', [blockFrame(1, request('/', [], 'GET /smuggled HTTP/1.1\r\nx: '), END)]],
  ['a NUL in a value', [blockFrame(1, smuggled([['x', 'a\0b']]), END)]],
  ['a second path', [blockFrame(1, [...request('/'), [':path', '/smuggled']], END)]],
  [
    'a pseudo field behind a plain one',
    [
      blockFrame(
        1,
        [
          [':method', 'GET'],
          ['x', 'y'],
          [':scheme', 'http'],
          [':authority', 'h'],
          [':path', '/smuggled'],
        ],
        END,
      ),
    ],
  ],
  ['another host', [blockFrame(1, smuggled([['host', 'other']]), END)]],
  [
    'a CONNECT whose host stands in a field',
    [
      blockFrame(
        1,
        [
          [':method', 'CONNECT'],
          ['host', 'h'],
        ],
        0,
      ),
      dataFrame(1, 'x', 0),
    ],
  ],
  [
    'a WebSocket whose host stands in a field',
    [
      blockFrame(
        1,
        [
          [':method', 'CONNECT'],
          [':protocol', 'websocket'],
          [':scheme', 'http'],
          [':path', '/smuggled'],
          ['host', 'h'],
        ],
        0,
      ),
    ],
  ],
  ['a GET with :protocol', [blockFrame(1, [...request('/smuggled', [], 'GET'), [':protocol', 'websocket']], END)]],
  ['trailers that go on', [blockFrame(1, smuggled([]), 0), blockFrame(1, [['x', 'y']], 0), dataFrame(1, 'x', END)]],
  ['trailers with a path', [blockFrame(1, smuggled([]), 0), blockFrame(1, [[':path', '/smuggled']], END)]],
]

describe('whatever we take of an HTTP/2 session, nghttp2 understands the same', () => {
  it(`${RUNS} sessions of sound and changed frames`, async () => {
    await manySeeds({ runs: RUNS, seed: SEED, what: 'requests' }, chance => compare(comparable(mutatedSession(chance))))
  })

  for (const [title, frames] of ATTACKS) {
    it(title, async () => {
      const session = Buffer.concat([PREFACE, settingsFrame([]), frame(TYPE.SETTINGS, FLAG.ACK, 0), ...frames])
      await compare(comparable(session))
      for (const one of readByUs(comparable(session)).requests.values()) {
        assert.ok(one.isGone && one.trailers === null, `it was passed on: ${JSON.stringify(one)}`)
      }
    })
  }
})
