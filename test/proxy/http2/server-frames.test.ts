// What a client may not send: every broken frame gets the error RFC 9113 names, on its stream or on the connection.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import {
  FLAG,
  frame,
  headerBlock,
  PADDED,
  PRIORITY,
  PUSH_PROMISE,
  type RawPeer,
  rawClient,
  request,
  settingsFrame,
  TYPE,
  uint32,
} from './raw-peer.js'
import { Echo, ServedStream, until } from './recorder.js'
import { http2Door } from './relay.js'

const [PROTOCOL, FLOW_CONTROL, STREAM_CLOSED, FRAME_SIZE, COMPRESSION] = [1, 3, 5, 6, 9]
const END = FLAG.END_STREAM
const head = (id: number, flags: number, fields = request()) => frame(TYPE.HEADERS, FLAG.END_HEADERS | flags, id, headerBlock(fields))
const data = (id: number, flags: number, text = 'test') => frame(TYPE.DATA, flags, id, Buffer.from(text))
const bytes = (length: number) => Buffer.alloc(length)
const open = head(1, 0)
const whole = head(1, END)

describe('a connection error', () => {
  const rows: [string, number, Buffer[]][] = [
    ['DATA on stream 0', PROTOCOL, [data(0, END)]],
    ['DATA on an idle stream', PROTOCOL, [data(1, END)]],
    ['RST_STREAM on an idle stream', PROTOCOL, [frame(TYPE.RST, 0, 1, uint32(8))]],
    ['WINDOW_UPDATE on an idle stream', PROTOCOL, [frame(TYPE.WINDOW_UPDATE, 0, 1, uint32(100))]],
    ['CONTINUATION on an idle stream', PROTOCOL, [frame(TYPE.CONTINUATION, FLAG.END_HEADERS, 1, headerBlock(request()))]],
    ['CONTINUATION after a complete header block', PROTOCOL, [whole, frame(TYPE.CONTINUATION, FLAG.END_HEADERS, 1, bytes(0))]],
    ['HEADERS on stream 0', PROTOCOL, [head(0, END)]],
    ['HEADERS on an even stream', PROTOCOL, [head(2, END)]],
    ['HEADERS on a stream below the last one', STREAM_CLOSED, [head(5, END), head(3, END)]],
    ['another stream between HEADERS and CONTINUATION', PROTOCOL, [frame(TYPE.HEADERS, END, 1, headerBlock(request())), head(3, END)]],
    ['PRIORITY between HEADERS and CONTINUATION', PROTOCOL, [frame(TYPE.HEADERS, END, 1, bytes(0)), frame(PRIORITY, 0, 1, bytes(5))]],
    ['an unknown frame between HEADERS and CONTINUATION', PROTOCOL, [frame(TYPE.HEADERS, END, 1, bytes(0)), frame(0xff, 0, 1, bytes(5))]],
    [
      'CONTINUATION of another stream',
      PROTOCOL,
      [frame(TYPE.HEADERS, END, 1, bytes(0)), frame(TYPE.CONTINUATION, FLAG.END_HEADERS, 3, bytes(0))],
    ],
    [
      'CONTINUATION on stream 0',
      PROTOCOL,
      [frame(TYPE.HEADERS, END, 1, bytes(0)), frame(TYPE.CONTINUATION, FLAG.END_HEADERS, 0, bytes(0))],
    ],
    [
      'HEADERS whose padding is longer than the frame',
      PROTOCOL,
      [frame(TYPE.HEADERS, FLAG.END_HEADERS | END | PADDED, 1, Buffer.from([9, 0x82]))],
    ],
    [
      'HEADERS that depend on themselves',
      PROTOCOL,
      [frame(TYPE.HEADERS, FLAG.END_HEADERS | END | 0x20, 1, Buffer.concat([uint32(1), Buffer.from([15]), headerBlock(request())]))],
    ],
    ['DATA whose padding is as long as the frame', PROTOCOL, [open, frame(TYPE.DATA, PADDED, 1, Buffer.from([4, 1, 2, 3]))]],
    ['DATA that is padded and empty', FRAME_SIZE, [open, frame(TYPE.DATA, PADDED, 1)]],
    ['a frame larger than 16384 bytes', FRAME_SIZE, [open, frame(TYPE.DATA, 0, 1, bytes(16_385))]],
    ['HEADERS larger than 16384 bytes', FRAME_SIZE, [frame(TYPE.HEADERS, FLAG.END_HEADERS, 1, bytes(16_385))]],
    ['a header block that is no HPACK', COMPRESSION, [frame(TYPE.HEADERS, FLAG.END_HEADERS | END, 1, Buffer.from([0x80]))]],
    ['an HPACK index beyond the table', COMPRESSION, [frame(TYPE.HEADERS, FLAG.END_HEADERS | END, 1, Buffer.from([0xff, 0x7f]))]],
    ['SETTINGS on a stream', PROTOCOL, [frame(TYPE.SETTINGS, 0, 1)]],
    ['SETTINGS ACK with a payload', FRAME_SIZE, [frame(TYPE.SETTINGS, FLAG.ACK, 0, bytes(6))]],
    ['SETTINGS whose length is no multiple of 6', FRAME_SIZE, [frame(TYPE.SETTINGS, 0, 0, bytes(3))]],
    ['ENABLE_PUSH of 2', PROTOCOL, [settingsFrame([[2, 2]])]],
    ['INITIAL_WINDOW_SIZE above 2^31-1', FLOW_CONTROL, [settingsFrame([[4, 2 ** 31]])]],
    ['MAX_FRAME_SIZE below 16384', PROTOCOL, [settingsFrame([[5, 16_383]])]],
    ['MAX_FRAME_SIZE above 2^24-1', PROTOCOL, [settingsFrame([[5, 2 ** 24]])]],
    ['ENABLE_CONNECT_PROTOCOL of 2', PROTOCOL, [settingsFrame([[8, 2]])]],
    [
      'an INITIAL_WINDOW_SIZE that makes a window too large',
      FLOW_CONTROL,
      [open, frame(TYPE.WINDOW_UPDATE, 0, 1, uint32(2 ** 31 - 1 - 65_535)), settingsFrame([[4, 65_536]])],
    ],
    ['PUSH_PROMISE', PROTOCOL, [whole, frame(PUSH_PROMISE, FLAG.END_HEADERS, 1, bytes(4))]],
    ['PING on a stream', PROTOCOL, [frame(TYPE.PING, 0, 1, bytes(8))]],
    ['PING of 6 bytes', FRAME_SIZE, [frame(TYPE.PING, 0, 0, bytes(6))]],
    ['GOAWAY on a stream', PROTOCOL, [frame(TYPE.GOAWAY, 0, 1, bytes(8))]],
    ['GOAWAY of 4 bytes', FRAME_SIZE, [frame(TYPE.GOAWAY, 0, 0, bytes(4))]],
    ['WINDOW_UPDATE of 0 on the connection', PROTOCOL, [frame(TYPE.WINDOW_UPDATE, 0, 0, uint32(0))]],
    ['WINDOW_UPDATE of 3 bytes', FRAME_SIZE, [frame(TYPE.WINDOW_UPDATE, 0, 0, bytes(3))]],
    ['a connection window above 2^31-1', FLOW_CONTROL, [frame(TYPE.WINDOW_UPDATE, 0, 0, uint32(2 ** 31 - 1))]],
    ['RST_STREAM on stream 0', PROTOCOL, [frame(TYPE.RST, 0, 0, uint32(8))]],
    ['RST_STREAM of 3 bytes', FRAME_SIZE, [open, frame(TYPE.RST, 0, 1, bytes(3))]],
    ['PRIORITY on stream 0', PROTOCOL, [frame(PRIORITY, 0, 0, bytes(5))]],
    ['PRIORITY of an idle stream on itself', PROTOCOL, [frame(PRIORITY, 0, 3, Buffer.concat([uint32(3), Buffer.from([1])]))]],
    ['DATA on a stream the client has reset', STREAM_CLOSED, [open, frame(TYPE.RST, 0, 1, uint32(8)), data(1, END)]],
    ['HEADERS on a stream the client has reset', STREAM_CLOSED, [open, frame(TYPE.RST, 0, 1, uint32(8)), head(1, END)]],
  ]
  let door: Awaited<ReturnType<typeof http2Door>>
  before(async () => {
    door = await http2Door(stream => new ServedStream(stream))
  })
  after(() => door.close())
  for (const [title, code, frames] of rows) {
    it(`${title}: GOAWAY ${code}, then an end`, async () => {
      const peer = await rawClient(door.port)
      peer.send(...frames)
      await peer.until('the end', one => one.isClosed)
      assert.equal(peer.goawayCode, code)
    })
  }

  for (const [title, first] of [
    ['a preface that is another text', Buffer.from('PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n')],
    [
      'a first frame that is not SETTINGS',
      Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(TYPE.PING, 0, 0, bytes(8))]),
    ],
    ['DATA as the first frame', Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), data(1, END)])],
  ] as const) {
    it(`${title}: GOAWAY PROTOCOL_ERROR`, async () => {
      const peer = await rawClientWithout(door.port)
      peer.send(first)
      await peer.until('the end', one => one.isClosed)
      assert.equal(peer.goawayCode, PROTOCOL)
    })
  }

  it('DATA on a stream that both have ended: STREAM_CLOSED', async () => {
    const echo = await http2Door(stream => new Echo(stream))
    const peer = await rawClient(echo.port)
    peer.send(whole)
    await peer.until('the answer', one => one.hasEnded(1))
    peer.send(data(1, END))
    await peer.until('the end', one => one.isClosed)
    assert.equal(peer.goawayCode, STREAM_CLOSED)
    await echo.close()
  })
})

describe('a stream error', () => {
  const rows: [string, number, Buffer[]][] = [
    ['DATA after END_STREAM', STREAM_CLOSED, [whole, data(1, END)]],
    ['HEADERS after END_STREAM', STREAM_CLOSED, [whole, head(1, END)]],
    ['trailers without END_STREAM', PROTOCOL, [open, head(1, 0, [['x-a', '1']])]],
    ['trailers with a pseudo field', PROTOCOL, [open, head(1, END, [[':method', 'GET']])]],
    ['trailers with connection', PROTOCOL, [open, head(1, END, [['connection', 'x']])]],
    ['PRIORITY of 4 bytes', FRAME_SIZE, [open, frame(PRIORITY, 0, 1, bytes(4))]],
    ['PRIORITY of a stream on itself', PROTOCOL, [open, frame(PRIORITY, 0, 1, Buffer.concat([uint32(1), Buffer.from([1])]))]],
    ['WINDOW_UPDATE of 0', PROTOCOL, [open, frame(TYPE.WINDOW_UPDATE, 0, 1, uint32(0))]],
    ['a window above 2^31-1', FLOW_CONTROL, [open, frame(TYPE.WINDOW_UPDATE, 0, 1, uint32(2 ** 31 - 1))]],
    ['DATA beyond content-length', PROTOCOL, [head(1, 0, request('/', [['content-length', '3']])), data(1, END)]],
    ['DATA short of content-length', PROTOCOL, [head(1, 0, request('/', [['content-length', '5']])), data(1, END)]],
    ['trailers short of content-length', PROTOCOL, [head(1, 0, request('/', [['content-length', '5']])), head(1, END, [['x-a', '1']])]],
    ['DATA beyond the stream window', FLOW_CONTROL, [open, ...Array.from({ length: 17 }, () => frame(TYPE.DATA, 0, 1, bytes(16_384)))]],
  ]
  for (const [title, code, frames] of rows) {
    it(`${title}: RST_STREAM ${code}, and the connection lives`, async () => {
      const served: ServedStream[] = []
      const door = await http2Door(stream => served.push(new ServedStream(stream, 'never')))
      const peer = await rawClient(door.port)
      peer.send(...frames)
      await peer.until('RST_STREAM', one => one.resetCode(1) !== -1)
      assert.equal(peer.resetCode(1), code)
      assert.deepEqual(served[0]!.seen.at(-1), 'malformed')
      peer.send(head(3, END))
      await until('the next request', () => served.length === 2)
      // Late frames of a stream that was reset are nobody's fault.
      peer.send(frame(TYPE.WINDOW_UPDATE, 0, 1, uint32(1)), frame(TYPE.PING, 0, 0, bytes(8)))
      await peer.until('PING ACK', one => one.of(TYPE.PING).length === 1)
      assert.equal(peer.goawayCode, -1)
      peer.close()
      await door.close()
    })
  }
})

describe('a frame that is allowed', () => {
  const rows: [string, Buffer[]][] = [
    ['an unknown frame type', [frame(0xfe, 0xff, 1, bytes(20))]],
    ['an unknown setting', [settingsFrame([[0x99, 5]])]],
    ['PRIORITY on an idle stream', [frame(PRIORITY, 0, 7, bytes(5))]],
    ['GOAWAY of the client while it has a stream', [open, frame(TYPE.GOAWAY, 0, 0, bytes(8))]],
    [
      'RST_STREAM, WINDOW_UPDATE and PRIORITY on a closed stream',
      [
        open,
        frame(TYPE.RST, 0, 1, uint32(8)),
        frame(TYPE.RST, 0, 1, uint32(8)),
        frame(TYPE.WINDOW_UPDATE, 0, 1, uint32(1)),
        frame(PRIORITY, 0, 1, bytes(5)),
      ],
    ],
    [
      'padded HEADERS with a priority',
      [
        frame(
          TYPE.HEADERS,
          FLAG.END_HEADERS | END | PADDED | 0x20,
          1,
          Buffer.concat([Buffer.from([3]), uint32(0), Buffer.from([15]), headerBlock(request()), bytes(3)]),
        ),
      ],
    ],
    ['a PING ACK nobody asked for', [frame(TYPE.PING, FLAG.ACK, 0, bytes(8))]],
    ['reserved bits that are set', [frame(TYPE.WINDOW_UPDATE, 0, 0, uint32(0x8000_0001))]],
  ]
  for (const [title, frames] of rows) {
    it(`${title}: the connection lives`, async () => {
      const door = await http2Door(stream => new ServedStream(stream))
      const peer = await rawClient(door.port)
      peer.send(...frames, frame(TYPE.PING, 0, 0, Buffer.from('12345678')))
      await peer.until('PING ACK', one => one.of(TYPE.PING).length === 1)
      assert.equal(String(peer.of(TYPE.PING)[0]!.payload), '12345678')
      assert.equal(peer.goawayCode, -1)
      peer.close()
      await door.close()
    })
  }
})

async function rawClientWithout(port: number): Promise<RawPeer> {
  const { connect } = await import('node:net')
  const { RawPeer } = await import('./raw-peer.js')
  const socket = connect({ port, host: '127.0.0.1' })
  await new Promise(resolve => socket.once('connect', resolve))
  return new RawPeer(socket, 'client')
}
