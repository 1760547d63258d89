// The upstream side, sections 1 to 5: a service's preface, frames, stream states, errors.
import { frame, headerBlock } from '../h2-frames.js'
import type { Section } from './cases.js'
import { connectionClose, connectionError, frameOf, pingAcknowledged, settingsAcknowledged, streamError } from './expectations.js'
import type { ServicePeer } from './service-peer.js'
import { fatal, rule, type ServiceCase } from './upstream.js'
import { bulk, CODE, continuation, DEFAULT_FRAME_SIZE, data, head, ping, reset, TYPE, windowUpdate } from './wire.js'

// A type and flags that RFC 9113 does not know; the flags leave ACK out.
const UNKNOWN_TYPE = 0x16
const UNKNOWN_FLAGS = 0x16
const RESERVED_BIT = 2 ** 31
const EIGHT = Buffer.alloc(8)
// No client opens it, and nobody promised it.
const IDLE_EVEN = 2
// The proxy might open it, but has not.
const IDLE_ODD = 101
// The head of a gRPC message.
const GRPC_HEAD_BYTES = 5

const unknownFrame = frame(UNKNOWN_TYPE, 0, 0, EIGHT)
const more = (): Buffer => headerBlock(bulk(1))

export const CLIENT_STREAMS: Section<ServiceCase>[] = [
  {
    group: 'client',
    number: '1',
    cases: [rule("a server's preface is accepted", 'answered', settingsAcknowledged)],
  },
  {
    group: 'client',
    number: '4.1',
    cases: [
      rule('a frame of unknown type is ignored', 'answered', () => [unknownFrame, ping()], pingAcknowledged()),
      rule('undefined flags are ignored', 'answered', () => [frame(TYPE.PING, UNKNOWN_FLAGS, 0, EIGHT)], frameOf(TYPE.PING)),
      rule('the reserved bit is ignored', 'answered', () => [frame(TYPE.PING, UNKNOWN_FLAGS, RESERVED_BIT, EIGHT)], frameOf(TYPE.PING)),
    ],
  },
  {
    group: 'client',
    number: '4.2',
    cases: [
      rule(
        'a DATA frame of 2^14 bytes is accepted',
        'complete',
        p => [
          head(p.id, p.begun, 'more'),
          ...p.remainder(p.id, Buffer.alloc(DEFAULT_FRAME_SIZE - (p.kind === 'grpc' ? GRPC_HEAD_BYTES : 0))),
        ],
        () => [ping()],
        pingAcknowledged(),
      ),
      rule(
        'a DATA frame above SETTINGS_MAX_FRAME_SIZE is a stream error FRAME_SIZE_ERROR',
        'cut',
        p => [head(p.id, p.begun, 'more'), data(p.id, Buffer.alloc(p.maxFrameSize + 1), 'end')],
        streamError(CODE.FRAME_SIZE_ERROR),
      ),
      // The original takes the frame size for the default, whatever was announced.
      fatal(
        'a HEADERS frame above SETTINGS_MAX_FRAME_SIZE is a connection error FRAME_SIZE_ERROR',
        'refused',
        p => [head(p.id, [...p.whole, ...bulk(5)], 'end')],
        connectionError(CODE.FRAME_SIZE_ERROR),
      ),
    ],
  },
  {
    group: 'client',
    number: '4.3',
    cases: [
      fatal(
        'a header block that is cut short is a connection error COMPRESSION_ERROR',
        'refused',
        p => [frame(TYPE.HEADERS, 0x05, p.id, Buffer.from([0x40]))],
        connectionError(CODE.COMPRESSION_ERROR),
      ),
    ],
  },
  {
    group: 'client',
    number: '5.1',
    cases: [
      idle('DATA', () => data(IDLE_EVEN, 'test', 'end')),
      idle('RST_STREAM', () => reset(IDLE_EVEN, CODE.CANCEL)),
      idle('WINDOW_UPDATE', () => windowUpdate(IDLE_EVEN, 100)),
      idle('CONTINUATION', p => continuation(IDLE_EVEN, headerBlock(p.begun), 'last')),
      afterReset('DATA', p => data(p.id, 'test', 'end')),
      afterReset('HEADERS', p => head(p.id, p.whole, 'end')),
      afterReset('CONTINUATION', p => continuation(p.id, more(), 'last'), CODE.PROTOCOL_ERROR),
      afterEnd('DATA', p => data(p.id, 'test', 'end')),
      afterEnd('HEADERS', p => head(p.id, p.whole, 'end')),
      afterEnd('CONTINUATION', p => continuation(p.id, more(), 'last'), CODE.PROTOCOL_ERROR),
    ],
  },
  {
    group: 'client',
    number: '5.1.1',
    cases: [
      fatal(
        'HEADERS on a stream that the proxy never opened are a connection error PROTOCOL_ERROR',
        'refused',
        p => [head(IDLE_ODD, p.whole, 'end')],
        connectionError(CODE.PROTOCOL_ERROR),
      ),
    ],
  },
  {
    group: 'client',
    number: '5.4.1',
    cases: [
      fatal('after a connection error the connection is closed', 'refused', () => [frame(TYPE.PING, 0, 3, EIGHT)], connectionClose),
      fatal(
        'before it closes for a connection error GOAWAY is sent',
        'refused',
        () => [frame(TYPE.PING, 0, 3, EIGHT)],
        frameOf(TYPE.GOAWAY),
      ),
    ],
  },
  {
    group: 'client',
    number: '5.5',
    cases: [rule('an unknown extension frame is ignored', 'answered', () => [unknownFrame, ping()], pingAcknowledged())],
  },
]

type Make = (peer: ServicePeer) => Buffer

function idle(type: string, make: Make): ServiceCase {
  return fatal(
    `${type} on an idle stream is a connection error PROTOCOL_ERROR`,
    'refused',
    p => [make(p)],
    connectionError(CODE.PROTOCOL_ERROR),
  )
}

function afterReset(type: string, make: Make, ...also: number[]): ServiceCase {
  return rule(
    `${type} on a stream that the service has reset is a stream error STREAM_CLOSED`,
    'cancelled',
    p => [head(p.id, p.begun, 'more'), reset(p.id, CODE.CANCEL), make(p)],
    streamError(CODE.STREAM_CLOSED, ...also),
  )
}

function afterEnd(type: string, make: Make, ...also: number[]): ServiceCase {
  return fatal(
    `${type} on a stream that both sides have ended is a connection error STREAM_CLOSED`,
    'complete',
    p => [head(p.id, p.whole, 'end'), make(p)],
    connectionError(CODE.STREAM_CLOSED, ...also),
  )
}
