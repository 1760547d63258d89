// RFC 9113 section 6: every frame type, its form, its stream, its size.
import { frame, headerBlock } from '../h2-frames.js'
import type { Section } from './cases.js'
import { type ClientCase, rule } from './downstream.js'
import {
  answered,
  connectionError,
  dataOf,
  frameOf,
  goawayWith,
  pingAcknowledged,
  resetWith,
  settingsAcknowledged,
  streamError,
} from './expectations.js'
import type { ClientPeer } from './peer.js'
import {
  bulk,
  CODE,
  continuation,
  data,
  FLAG,
  head,
  MAX_WINDOW,
  openHead,
  ping,
  priority,
  priorityFields,
  reset,
  SETTING,
  settings,
  TYPE,
  windowUpdate,
} from './wire.js'

const more = (): Buffer => headerBlock(bulk(1))

export const HTTP2_FRAMES: Section<ClientCase>[] = [
  {
    group: 'http2',
    number: '6.1',
    cases: [
      protocolError('DATA on stream 0', () => [data(0, 'test', 'end')]),
      rule(
        'DATA on a stream that is not open is a stream error STREAM_CLOSED',
        p => [head(1, p.post, 'end'), data(1, 'test', 'end')],
        streamError(CODE.STREAM_CLOSED),
      ),
      protocolError('DATA with more padding than payload', p => [
        head(1, [...p.post, ['content-length', '4']], 'more'),
        frame(TYPE.DATA, FLAG.END_STREAM | FLAG.PADDED, 1, Buffer.from('\x06Test')),
      ]),
    ],
  },
  {
    group: 'http2',
    number: '6.2',
    cases: [
      protocolError('HEADERS without END_HEADERS and a PRIORITY frame', p => [
        openHead(1, p.get, 'more'),
        priority(1, priorityFields(0, 256)),
        continuation(1, more(), 'last'),
      ]),
      protocolError('HEADERS without END_HEADERS and HEADERS of another stream', p => [
        openHead(1, p.get, 'more'),
        head(3, p.get, 'end'),
        continuation(1, more(), 'last'),
      ]),
      protocolError('HEADERS on stream 0', p => [head(0, p.get, 'end')]),
      rule('HEADERS with more padding than payload are an error PROTOCOL_ERROR', p => [overpadded(p)], streamError(CODE.PROTOCOL_ERROR)),
    ],
  },
  {
    group: 'http2',
    number: '6.3',
    cases: [
      protocolError('PRIORITY on stream 0', () => [priority(0, priorityFields(0, 256))]),
      rule(
        'PRIORITY of another length than 5 is a stream error FRAME_SIZE_ERROR',
        p => [head(1, p.get, 'end'), frame(TYPE.PRIORITY, 0, 1, Buffer.from([0x80, 0, 0, 1]))],
        streamError(CODE.FRAME_SIZE_ERROR),
      ),
    ],
  },
  {
    group: 'http2',
    number: '6.4',
    cases: [
      protocolError('RST_STREAM on stream 0', () => [reset(0, CODE.CANCEL)]),
      protocolError('RST_STREAM on an idle stream', () => [reset(1, CODE.CANCEL)]),
      rule(
        'RST_STREAM of another length than 4 is a connection error FRAME_SIZE_ERROR',
        p => [head(1, p.get, 'end'), frame(TYPE.RST, 0, 1, Buffer.alloc(3))],
        streamError(CODE.FRAME_SIZE_ERROR),
      ),
    ],
  },
  {
    group: 'http2',
    number: '6.5',
    cases: [
      rule(
        'SETTINGS with ACK and a payload are a connection error FRAME_SIZE_ERROR',
        () => [frame(TYPE.SETTINGS, FLAG.ACK, 0, Buffer.alloc(1))],
        connectionError(CODE.FRAME_SIZE_ERROR),
      ),
      protocolError('SETTINGS on another stream than 0', () => [frame(TYPE.SETTINGS, 0, 1, Buffer.from([0, 3, 0, 0, 0, 100]))]),
      rule(
        'SETTINGS of a length that is no multiple of 6 are a connection error FRAME_SIZE_ERROR',
        () => [frame(TYPE.SETTINGS, 0, 0, Buffer.from([0, 3, 0]))],
        streamError(CODE.PROTOCOL_ERROR, CODE.FRAME_SIZE_ERROR),
      ),
    ],
  },
  {
    group: 'http2',
    number: '6.5.2',
    cases: [
      protocolError('a SETTINGS_ENABLE_PUSH other than 0 and 1', () => [settings([SETTING.ENABLE_PUSH, 2])]),
      rule(
        'a SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1 is a connection error FLOW_CONTROL_ERROR',
        () => [settings([SETTING.INITIAL_WINDOW_SIZE, MAX_WINDOW + 1])],
        connectionError(CODE.FLOW_CONTROL_ERROR),
      ),
      protocolError('a SETTINGS_MAX_FRAME_SIZE below 16384', () => [settings([SETTING.MAX_FRAME_SIZE, 16_383])]),
      protocolError('a SETTINGS_MAX_FRAME_SIZE above 2^24-1', () => [settings([SETTING.MAX_FRAME_SIZE, 2 ** 24])]),
      rule('an unknown setting is ignored', () => [settings([0xff, 1]), ping()], pingAcknowledged()),
    ],
  },
  {
    group: 'http2',
    number: '6.5.3',
    cases: [
      rule(
        'of a setting that comes twice the later value holds',
        () => [settings([SETTING.INITIAL_WINDOW_SIZE, 100], [SETTING.INITIAL_WINDOW_SIZE, 1])],
        settingsAcknowledged,
        p => [head(1, p.get, 'end')],
        dataOf(1),
      ),
      rule('SETTINGS are acknowledged at once', () => [settings([SETTING.ENABLE_PUSH, 0])], settingsAcknowledged),
    ],
  },
  {
    group: 'http2',
    number: '6.7',
    cases: [
      rule('PING is answered with the same payload', () => [ping('payload!')], pingAcknowledged('payload!')),
      rule('PING with ACK is not answered', () => [ping('answered', 'ack'), ping('question')], pingAcknowledged('question')),
      protocolError('PING on another stream than 0', () => [frame(TYPE.PING, 0, 1, Buffer.alloc(8))]),
      rule(
        'PING of another length than 8 is a connection error FRAME_SIZE_ERROR',
        () => [frame(TYPE.PING, 0, 0, Buffer.alloc(6))],
        connectionError(CODE.FRAME_SIZE_ERROR),
      ),
    ],
  },
  {
    group: 'http2',
    number: '6.8',
    cases: [protocolError('GOAWAY on another stream than 0', () => [frame(TYPE.GOAWAY, 0, 1, Buffer.alloc(8))])],
  },
  {
    group: 'http2',
    number: '6.9',
    cases: [
      protocolError('WINDOW_UPDATE of 0 on the connection', () => [windowUpdate(0, 0)]),
      rule(
        'WINDOW_UPDATE of 0 on a stream is a stream error PROTOCOL_ERROR',
        p => [head(1, p.get, 'more'), windowUpdate(1, 0)],
        streamError(CODE.PROTOCOL_ERROR),
      ),
      rule(
        'WINDOW_UPDATE of another length than 4 is a connection error FRAME_SIZE_ERROR',
        () => [frame(TYPE.WINDOW_UPDATE, 0, 0, Buffer.from([0, 0, 1]))],
        connectionError(CODE.FRAME_SIZE_ERROR),
      ),
    ],
  },
  {
    group: 'http2',
    number: '6.9.1',
    cases: [
      rule(
        'no DATA frame exceeds a window of 1',
        () => [settings([SETTING.INITIAL_WINDOW_SIZE, 1])],
        settingsAcknowledged,
        p => [head(1, p.get, 'end')],
        dataOf(1),
      ),
      rule(
        'a connection window above 2^31-1 is answered with GOAWAY FLOW_CONTROL_ERROR',
        () => [windowUpdate(0, MAX_WINDOW), windowUpdate(0, MAX_WINDOW)],
        goawayWith(CODE.FLOW_CONTROL_ERROR),
      ),
      rule(
        'a stream window above 2^31-1 is answered with RST_STREAM FLOW_CONTROL_ERROR',
        p => [head(1, p.get, 'more'), windowUpdate(1, MAX_WINDOW), windowUpdate(1, MAX_WINDOW)],
        resetWith(CODE.FLOW_CONTROL_ERROR, () => 1),
      ),
    ],
  },
  {
    group: 'http2',
    number: '6.9.2',
    cases: [
      rule(
        'a changed SETTINGS_INITIAL_WINDOW_SIZE adjusts the windows of open streams',
        () => [settings([SETTING.INITIAL_WINDOW_SIZE, 0])],
        settingsAcknowledged,
        p => [head(1, p.get, 'end'), settings([SETTING.INITIAL_WINDOW_SIZE, 1])],
        dataOf(1),
      ),
      // 3 sent, then 2 allowed: the window is -1, and 2 more make it 1.
      rule(
        'a window may become negative and is counted',
        () => [settings([SETTING.INITIAL_WINDOW_SIZE, 3])],
        settingsAcknowledged,
        p => [head(1, p.get, 'end')],
        frameOf(TYPE.DATA),
        () => [settings([SETTING.INITIAL_WINDOW_SIZE, 2])],
        settingsAcknowledged,
        () => [windowUpdate(1, 2)],
        dataOf(1),
      ),
      rule(
        'a SETTINGS_INITIAL_WINDOW_SIZE of 2^31 is a connection error FLOW_CONTROL_ERROR',
        () => [settings([SETTING.INITIAL_WINDOW_SIZE, 2 ** 31])],
        connectionError(CODE.FLOW_CONTROL_ERROR),
      ),
    ],
  },
  {
    group: 'http2',
    number: '6.10',
    cases: [
      rule(
        'several CONTINUATION frames after HEADERS are accepted',
        p => [openHead(1, p.get, 'end'), continuation(1, more(), 'middle'), continuation(1, more(), 'last')],
        answered(1),
      ),
      protocolError('CONTINUATION without END_HEADERS and another frame than CONTINUATION', p => [
        openHead(1, p.post, 'more'),
        continuation(1, more(), 'middle'),
        data(1, 'test', 'end'),
      ]),
      protocolError('CONTINUATION on stream 0', p => [openHead(1, p.get, 'end'), continuation(0, more(), 'last')]),
      protocolError('CONTINUATION after HEADERS with END_HEADERS', p => [head(1, p.get, 'end'), continuation(1, more(), 'last')]),
      protocolError('CONTINUATION after CONTINUATION with END_HEADERS', p => [
        openHead(1, p.get, 'end'),
        continuation(1, more(), 'last'),
        continuation(1, more(), 'last'),
      ]),
      protocolError('CONTINUATION after DATA', p => [
        openHead(1, p.post, 'more'),
        data(1, 'test', 'end'),
        continuation(1, more(), 'middle'),
        continuation(0, more(), 'last'),
      ]),
    ],
  },
]

function protocolError(title: string, frames: (peer: ClientPeer) => Buffer[]): ClientCase {
  return rule(`${title} is a connection error PROTOCOL_ERROR`, frames, connectionError(CODE.PROTOCOL_ERROR))
}

/** One byte more of padding than the frame has room for. */
function overpadded(peer: ClientPeer): Buffer {
  const block = headerBlock(peer.get)
  const flags = FLAG.END_HEADERS | FLAG.END_STREAM | FLAG.PADDED
  return frame(TYPE.HEADERS, flags, 1, Buffer.concat([Buffer.from([block.length + 1]), block]))
}
