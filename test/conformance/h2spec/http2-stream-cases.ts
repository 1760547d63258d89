// RFC 9113 sections 3 to 5: preface, frames, stream states, errors.  5.3.1 is RFC 7540 only.
import { frame, headerBlock } from '../h2-frames.js'
import type { Section } from './cases.js'
import { bare, type ClientCase, rule } from './downstream.js'
import {
  announced,
  answered,
  connectionClose,
  connectionError,
  frameOf,
  pingAcknowledged,
  serverPreface,
  streamClose,
  streamError,
} from './expectations.js'
import type { ClientPeer } from './peer.js'
import {
  bulk,
  CODE,
  continuation,
  DEFAULT_WINDOW,
  data,
  head,
  openHead,
  PREFACE,
  ping,
  priority,
  priorityFields,
  priorityHead,
  reset,
  SETTING,
  settings,
  TYPE,
  windowUpdate,
} from './wire.js'

// A type and flags that RFC 9113 does not know; the flags leave ACK out.
const UNKNOWN_TYPE = 0x16
const UNKNOWN_FLAGS = 0x16
const RESERVED_BIT = 2 ** 31
const EIGHT = Buffer.alloc(8)

const unknownFrame = frame(UNKNOWN_TYPE, 0, 0, EIGHT)
const more = (): Buffer => headerBlock(bulk(1))

export const HTTP2_STREAMS: Section<ClientCase>[] = [
  {
    group: 'http2',
    number: '3.5',
    cases: [
      bare(
        'the first frame after a client preface is SETTINGS',
        () => [PREFACE, settings([SETTING.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW])],
        serverPreface,
      ),
      bare(
        'an invalid preface ends the connection',
        () => [Buffer.from('INVALID CONNECTION PREFACE\r\n\r\n')],
        connectionError(CODE.PROTOCOL_ERROR),
      ),
    ],
  },
  {
    group: 'http2',
    number: '4.1',
    cases: [
      rule('a frame of unknown type is ignored', () => [unknownFrame, ping()], pingAcknowledged()),
      rule('undefined flags are ignored', () => [frame(TYPE.PING, UNKNOWN_FLAGS, 0, EIGHT)], frameOf(TYPE.PING)),
      rule('the reserved bit is ignored', () => [frame(TYPE.PING, UNKNOWN_FLAGS, RESERVED_BIT, EIGHT)], frameOf(TYPE.PING)),
    ],
  },
  {
    group: 'http2',
    number: '4.2',
    cases: [
      rule(
        'a DATA frame of the largest size is accepted',
        p => [head(1, p.post, 'more'), data(1, Buffer.alloc(p.maxFrameSize), 'end')],
        answered(1),
      ),
      rule(
        'a DATA frame above SETTINGS_MAX_FRAME_SIZE is a stream error FRAME_SIZE_ERROR',
        p => [head(1, p.post, 'more'), data(1, Buffer.alloc(p.maxFrameSize + 1), 'end')],
        streamError(CODE.FRAME_SIZE_ERROR),
      ),
      // The original takes the frame size for the default, whatever was announced.
      rule(
        'a HEADERS frame above SETTINGS_MAX_FRAME_SIZE is a connection error FRAME_SIZE_ERROR',
        p => [head(1, [...p.get, ...bulk(5)], 'end')],
        connectionError(CODE.FRAME_SIZE_ERROR),
      ),
    ],
  },
  {
    group: 'http2',
    number: '4.3',
    cases: [
      rule(
        'a header block that is cut short is a connection error COMPRESSION_ERROR',
        () => [frame(TYPE.HEADERS, 0x05, 1, Buffer.from([0x40]))],
        connectionError(CODE.COMPRESSION_ERROR),
      ),
      rule(
        'a PRIORITY frame within a header block is a connection error PROTOCOL_ERROR',
        p => [openHead(1, p.get, 'more'), priority(1, priorityFields(0, 256)), continuation(1, more(), 'last')],
        connectionError(CODE.PROTOCOL_ERROR),
      ),
      rule(
        'a HEADERS frame of another stream within a header block is a connection error PROTOCOL_ERROR',
        p => [openHead(1, p.get, 'more'), head(3, p.get, 'end'), continuation(1, more(), 'last')],
        connectionError(CODE.PROTOCOL_ERROR),
      ),
    ],
  },
  {
    group: 'http2',
    number: '5.1',
    cases: [
      idle('DATA', () => data(1, 'test', 'end')),
      idle('RST_STREAM', () => reset(1, CODE.CANCEL)),
      idle('WINDOW_UPDATE', () => windowUpdate(1, 100)),
      idle('CONTINUATION', p => continuation(1, headerBlock(p.get), 'last')),
      halfClosed('DATA', () => data(1, 'test', 'end')),
      halfClosed('HEADERS', p => head(1, p.get, 'end')),
      halfClosed('CONTINUATION', p => continuation(1, headerBlock(p.get), 'last'), CODE.PROTOCOL_ERROR),
      afterReset('DATA', () => data(1, 'test', 'end')),
      afterReset('HEADERS', p => head(1, p.get, 'end')),
      afterReset('CONTINUATION', () => continuation(1, more(), 'last'), CODE.PROTOCOL_ERROR),
      afterEnd('DATA', () => data(1, 'test', 'end'), streamError(CODE.STREAM_CLOSED)),
      afterEnd('HEADERS', p => head(1, p.get, 'end'), connectionError(CODE.STREAM_CLOSED)),
      afterEnd('CONTINUATION', () => continuation(1, more(), 'last'), connectionError(CODE.STREAM_CLOSED, CODE.PROTOCOL_ERROR)),
    ],
  },
  {
    group: 'http2',
    number: '5.1.1',
    cases: [
      rule(
        'an even stream identifier is a connection error PROTOCOL_ERROR',
        p => [head(2, p.get, 'end')],
        connectionError(CODE.PROTOCOL_ERROR),
      ),
      rule(
        'a stream identifier below an earlier one is a connection error PROTOCOL_ERROR',
        p => [head(5, p.get, 'end'), head(3, p.get, 'end')],
        connectionError(CODE.PROTOCOL_ERROR),
      ),
    ],
  },
  {
    group: 'http2',
    number: '5.1.2',
    cases: [
      // The window of zero bytes keeps every stream open.
      rule(
        'a stream above SETTINGS_MAX_CONCURRENT_STREAMS is a stream error PROTOCOL_ERROR or REFUSED_STREAM',
        p => [
          settings([SETTING.INITIAL_WINDOW_SIZE, 0]),
          ...Array.from({ length: announced(p, SETTING.MAX_CONCURRENT_STREAMS) + 1 }, (_, at) => head(2 * at + 1, p.get, 'end')),
        ],
        streamError(CODE.PROTOCOL_ERROR, CODE.REFUSED_STREAM),
      ),
    ],
  },
  {
    group: 'http2',
    number: '5.3.1',
    cases: [
      rule(
        'HEADERS that depend on their own stream are a stream error PROTOCOL_ERROR',
        p => [priorityHead(1, p.get, priorityFields(1, 256))],
        streamError(CODE.PROTOCOL_ERROR),
      ),
      rule(
        'a PRIORITY frame that depends on its own stream is a stream error PROTOCOL_ERROR',
        () => [priority(1, priorityFields(1, 256))],
        streamError(CODE.PROTOCOL_ERROR),
      ),
    ],
  },
  {
    group: 'http2',
    number: '5.4.1',
    cases: [
      rule('after a connection error the connection is closed', () => [frame(TYPE.PING, 0, 3, EIGHT)], connectionClose),
      rule('before it closes for a connection error GOAWAY is sent', () => [frame(TYPE.PING, 0, 3, EIGHT)], frameOf(TYPE.GOAWAY)),
    ],
  },
  {
    group: 'http2',
    number: '5.5',
    cases: [
      rule('an unknown extension frame is ignored', () => [unknownFrame, ping()], pingAcknowledged()),
      rule(
        'an unknown extension frame within a header block is a connection error PROTOCOL_ERROR',
        p => [openHead(1, p.get, 'end'), unknownFrame],
        connectionError(CODE.PROTOCOL_ERROR),
      ),
    ],
  },
]

type Make = (peer: ClientPeer) => Buffer

function idle(type: string, make: Make): ClientCase {
  return rule(`${type} on an idle stream is a connection error PROTOCOL_ERROR`, p => [make(p)], connectionError(CODE.PROTOCOL_ERROR))
}

function halfClosed(type: string, make: Make, ...also: number[]): ClientCase {
  return rule(
    `${type} on a half-closed (remote) stream is a stream error STREAM_CLOSED`,
    p => [head(1, p.get, 'end'), make(p)],
    streamError(CODE.STREAM_CLOSED, ...also),
  )
}

function afterReset(type: string, make: Make, ...also: number[]): ClientCase {
  return rule(
    `${type} on a stream that the client has reset is a stream error STREAM_CLOSED`,
    p => [head(1, p.get, 'more'), reset(1, CODE.CANCEL), make(p)],
    streamError(CODE.STREAM_CLOSED, ...also),
  )
}

function afterEnd(type: string, make: Make, expectation: ReturnType<typeof streamError>): ClientCase {
  const error = type === 'DATA' ? 'stream or connection' : 'connection'
  return rule(
    `${type} on a stream that both sides have ended is a ${error} error STREAM_CLOSED`,
    p => [head(1, p.get, 'end')],
    streamClose,
    p => [make(p)],
    expectation,
  )
}
