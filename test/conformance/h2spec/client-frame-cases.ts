// The upstream side, section 6: every frame type of a service, its form, its stream, its size.
import { frame, headerBlock } from '../h2-frames.js'
import type { Section } from './cases.js'
import { connectionError, goawayWith, pingAcknowledged, resetWith, settingsAcknowledged, streamError } from './expectations.js'
import type { ServicePeer } from './service-peer.js'
import { bare, fatal, type Outcome, rule, type ServiceCase } from './upstream.js'
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
  settingsAck,
  TYPE,
  windowUpdate,
} from './wire.js'

const IDLE = 2
const more = (): Buffer => headerBlock(bulk(1))

export const CLIENT_FRAMES: Section<ServiceCase>[] = [
  {
    group: 'client',
    number: '6.1',
    cases: [
      protocolError('DATA on stream 0', 'refused', () => [data(0, 'test', 'end')]),
      rule(
        'DATA on a stream that is not open is a stream error STREAM_CLOSED',
        'complete',
        p => [head(p.id, p.whole, 'end'), data(p.id, 'test', 'end')],
        streamError(CODE.STREAM_CLOSED),
      ),
      protocolError('DATA with more padding than payload', 'cut', p => [
        head(p.id, [...p.begun, ['content-length', '4']], 'more'),
        frame(TYPE.DATA, FLAG.END_STREAM | FLAG.PADDED, p.id, Buffer.from('\x06Test')),
      ]),
    ],
  },
  {
    group: 'client',
    number: '6.2',
    cases: [
      protocolError('HEADERS without END_HEADERS and a PRIORITY frame', 'refused', p => [
        openHead(p.id, p.begun, 'more'),
        priority(p.id, priorityFields(0, 256)),
        continuation(p.id, more(), 'last'),
      ]),
      protocolError('HEADERS on stream 0', 'refused', p => [head(0, p.whole, 'end')]),
      rule(
        'HEADERS with more padding than payload are an error PROTOCOL_ERROR',
        'refused',
        p => [overpadded(p)],
        streamError(CODE.PROTOCOL_ERROR),
      ),
    ],
  },
  {
    group: 'client',
    number: '6.3',
    cases: [
      protocolError('PRIORITY on stream 0', 'refused', () => [priority(0, priorityFields(0, 256))]),
      rule(
        'PRIORITY of another length than 5 is a stream error FRAME_SIZE_ERROR',
        'complete',
        p => [head(p.id, p.whole, 'end'), frame(TYPE.PRIORITY, 0, p.id, Buffer.from([0x80, 0, 0, 1]))],
        streamError(CODE.FRAME_SIZE_ERROR),
      ),
    ],
  },
  {
    group: 'client',
    number: '6.4',
    cases: [
      protocolError('RST_STREAM on stream 0', 'refused', () => [reset(0, CODE.CANCEL)]),
      protocolError('RST_STREAM on an idle stream', 'refused', () => [reset(IDLE, CODE.CANCEL)]),
      rule(
        'RST_STREAM of another length than 4 is a connection error FRAME_SIZE_ERROR',
        'complete',
        p => [head(p.id, p.whole, 'end'), frame(TYPE.RST, 0, p.id, Buffer.alloc(3))],
        streamError(CODE.FRAME_SIZE_ERROR),
      ),
    ],
  },
  {
    group: 'client',
    number: '6.5',
    cases: [
      bare(
        'SETTINGS with ACK and a payload are a connection error FRAME_SIZE_ERROR',
        'unusable',
        () => [frame(TYPE.SETTINGS, FLAG.ACK, 0, Buffer.alloc(1))],
        connectionError(CODE.FRAME_SIZE_ERROR),
      ),
      bare(
        'SETTINGS on another stream than 0 are a connection error PROTOCOL_ERROR',
        'unusable',
        () => [frame(TYPE.SETTINGS, 0, 1, Buffer.from([0, 3, 0, 0, 0, 100]))],
        connectionError(CODE.PROTOCOL_ERROR),
      ),
      bare(
        'SETTINGS of a length that is no multiple of 6 are a connection error FRAME_SIZE_ERROR',
        'unusable',
        () => [frame(TYPE.SETTINGS, 0, 0, Buffer.from([0, 3, 0]))],
        streamError(CODE.PROTOCOL_ERROR, CODE.FRAME_SIZE_ERROR),
      ),
    ],
  },
  {
    group: 'client',
    number: '6.5.2',
    cases: [
      bare(
        'a SETTINGS_INITIAL_WINDOW_SIZE above 2^31-1 is a connection error FLOW_CONTROL_ERROR',
        'unusable',
        () => [settings([SETTING.INITIAL_WINDOW_SIZE, MAX_WINDOW + 1])],
        connectionError(CODE.FLOW_CONTROL_ERROR),
      ),
      bare(
        'a SETTINGS_MAX_FRAME_SIZE below 16384 is a connection error PROTOCOL_ERROR',
        'unusable',
        () => [settings([SETTING.MAX_FRAME_SIZE, 16_383])],
        connectionError(CODE.PROTOCOL_ERROR),
      ),
      bare(
        'a SETTINGS_MAX_FRAME_SIZE above 2^24-1 is a connection error PROTOCOL_ERROR',
        'unusable',
        () => [settings([SETTING.MAX_FRAME_SIZE, 2 ** 24])],
        connectionError(CODE.PROTOCOL_ERROR),
      ),
      bare('an unknown setting is ignored', 'answered', () => [settings([0xff, 1]), settingsAck(), ping()], pingAcknowledged()),
    ],
  },
  {
    group: 'client',
    number: '6.5.3',
    cases: [
      bare(
        'SETTINGS are acknowledged at once',
        'answered',
        () => [settings([SETTING.MAX_CONCURRENT_STREAMS, 100]), settingsAck()],
        settingsAcknowledged,
      ),
    ],
  },
  {
    group: 'client',
    number: '6.7',
    cases: [
      rule('PING is answered with the same payload', 'answered', () => [ping('payload!')], pingAcknowledged('payload!')),
      rule('PING with ACK is not answered', 'answered', () => [ping('answered', 'ack'), ping('question')], pingAcknowledged('question')),
      protocolError('PING on another stream than 0', 'refused', () => [frame(TYPE.PING, 0, 1, Buffer.alloc(8))]),
      fatal(
        'PING of another length than 8 is a connection error FRAME_SIZE_ERROR',
        'refused',
        () => [frame(TYPE.PING, 0, 0, Buffer.alloc(6))],
        connectionError(CODE.FRAME_SIZE_ERROR),
      ),
    ],
  },
  {
    group: 'client',
    number: '6.8',
    cases: [protocolError('GOAWAY on another stream than 0', 'refused', () => [frame(TYPE.GOAWAY, 0, 1, Buffer.alloc(8))])],
  },
  {
    group: 'client',
    number: '6.9',
    cases: [
      protocolError('WINDOW_UPDATE of 0 on the connection', 'refused', () => [windowUpdate(0, 0)]),
      rule(
        'WINDOW_UPDATE of 0 on a stream is a stream error PROTOCOL_ERROR',
        'cut',
        p => [head(p.id, p.begun, 'more'), windowUpdate(p.id, 0)],
        streamError(CODE.PROTOCOL_ERROR),
      ),
      fatal(
        'WINDOW_UPDATE of another length than 4 is a connection error FRAME_SIZE_ERROR',
        'refused',
        () => [frame(TYPE.WINDOW_UPDATE, 0, 0, Buffer.from([0, 0, 1]))],
        connectionError(CODE.FRAME_SIZE_ERROR),
      ),
    ],
  },
  {
    group: 'client',
    number: '6.9.1',
    cases: [
      fatal(
        'a connection window above 2^31-1 is answered with GOAWAY FLOW_CONTROL_ERROR',
        'refused',
        () => [windowUpdate(0, MAX_WINDOW), windowUpdate(0, MAX_WINDOW)],
        goawayWith(CODE.FLOW_CONTROL_ERROR),
      ),
      rule(
        'a stream window above 2^31-1 is answered with RST_STREAM FLOW_CONTROL_ERROR',
        'cut',
        p => [head(p.id, p.begun, 'more'), windowUpdate(p.id, MAX_WINDOW), windowUpdate(p.id, MAX_WINDOW)],
        resetWith(CODE.FLOW_CONTROL_ERROR, (p: ServicePeer) => p.id),
      ),
    ],
  },
  {
    group: 'client',
    number: '6.10',
    cases: [
      rule(
        'several CONTINUATION frames after HEADERS are accepted',
        'complete',
        p => [openHead(p.id, p.whole, 'end'), continuation(p.id, more(), 'middle'), continuation(p.id, more(), 'last'), ping()],
        pingAcknowledged(),
      ),
      protocolError('CONTINUATION without END_HEADERS and another frame than CONTINUATION', 'refused', p => [
        openHead(p.id, p.begun, 'more'),
        continuation(p.id, more(), 'middle'),
        data(p.id, 'test', 'end'),
      ]),
      protocolError('CONTINUATION on stream 0', 'refused', p => [openHead(p.id, p.whole, 'end'), continuation(0, more(), 'last')]),
      protocolError('CONTINUATION after HEADERS with END_HEADERS', 'complete', p => [
        head(p.id, p.whole, 'end'),
        continuation(p.id, more(), 'last'),
      ]),
      protocolError('CONTINUATION after CONTINUATION with END_HEADERS', 'complete', p => [
        openHead(p.id, p.whole, 'end'),
        continuation(p.id, more(), 'last'),
        continuation(p.id, more(), 'last'),
      ]),
      protocolError('CONTINUATION after DATA', 'refused', p => [
        openHead(p.id, p.begun, 'more'),
        data(p.id, 'test', 'end'),
        continuation(p.id, more(), 'middle'),
        continuation(0, more(), 'last'),
      ]),
    ],
  },
]

function protocolError(title: string, outcome: Outcome, frames: (peer: ServicePeer) => Buffer[]): ServiceCase {
  return fatal(`${title} is a connection error PROTOCOL_ERROR`, outcome, frames, connectionError(CODE.PROTOCOL_ERROR))
}

/** One byte more of padding than the frame has room for. */
function overpadded(peer: ServicePeer): Buffer {
  const block = headerBlock(peer.begun)
  return frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.PADDED, peer.id, Buffer.concat([Buffer.from([block.length + 1]), block]))
}
