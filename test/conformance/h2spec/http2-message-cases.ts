// RFC 9113 sections 7 and 8 (numbered as in RFC 7540): error codes, and requests that are malformed.
import { frame, headerBlock, uint32 } from '../h2-frames.js'
import type { Section } from './cases.js'
import { type ClientCase, rule } from './downstream.js'
import { connectionError, pingAcknowledged, pingAcknowledgedOrClose, streamError } from './expectations.js'
import type { ClientPeer } from './peer.js'
import { CODE, data, type Fields, FLAG, goaway, head, ping, reset, TYPE } from './wire.js'

const UNKNOWN_CODE = 0xff

export const HTTP2_MESSAGES: Section<ClientCase>[] = [
  {
    group: 'http2',
    number: '7',
    cases: [
      rule('GOAWAY with an unknown error code does nothing special', () => [goaway(0, UNKNOWN_CODE), ping()], pingAcknowledgedOrClose()),
      rule(
        'RST_STREAM with an unknown error code does nothing special',
        p => [head(1, p.post, 'more'), reset(1, UNKNOWN_CODE), ping()],
        pingAcknowledged(),
      ),
    ],
  },
  {
    group: 'http2',
    number: '8.1',
    cases: [
      malformed('a second HEADERS frame without END_STREAM', p => [
        head(1, p.post, 'more'),
        data(1, 'test', 'more'),
        head(1, [['x-test', 'ok']], 'more'),
      ]),
    ],
  },
  {
    group: 'http2',
    number: '8.1.2',
    cases: [request('an upper-case field name', p => [...p.get, ['X-TEST', 'ok']])],
  },
  {
    group: 'http2',
    number: '8.1.2.1',
    cases: [
      request('an unknown pseudo-header field', p => [...p.get, [':test', 'ok']]),
      request('a pseudo-header field of responses', p => [...p.get, [':status', '200']]),
      malformed('a pseudo-header field in trailers', p => [
        head(1, p.post, 'more'),
        data(1, 'test', 'more'),
        head(1, [[':method', 'POST']], 'end'),
      ]),
      request('a pseudo-header field behind a regular one', p => [['x-test', 'ok'], ...p.get]),
    ],
  },
  {
    group: 'http2',
    number: '8.1.2.2',
    cases: [
      request('a connection-specific field', p => [...p.get, ['connection', 'keep-alive']]),
      request('a TE field other than "trailers"', p => [...p.get, ['trailers', 'test'], ['te', 'trailers, deflate']]),
    ],
  },
  {
    group: 'http2',
    number: '8.1.2.3',
    cases: [
      request('an empty :path', p => p.get.map(([name, value]) => [name, name === ':path' ? '' : value])),
      request('no :method', p => without(p.get, ':method')),
      request('no :scheme', p => without(p.get, ':scheme')),
      request('no :path', p => without(p.get, ':path')),
      request('two :method', p => twice(p.get, ':method')),
      request('two :scheme', p => twice(p.get, ':scheme')),
      request('two :path', p => twice(p.get, ':path')),
    ],
  },
  {
    group: 'http2',
    number: '8.1.2.6',
    cases: [
      malformed('a content-length that differs from the DATA frame', p => [
        head(1, [...p.post, ['content-length', '1']], 'more'),
        data(1, 'test', 'end'),
      ]),
      malformed('a content-length that differs from the sum of the DATA frames', p => [
        head(1, [...p.post, ['content-length', '1']], 'more'),
        data(1, 'test', 'more'),
        data(1, 'test', 'end'),
      ]),
    ],
  },
  {
    group: 'http2',
    number: '8.2',
    cases: [
      rule(
        'PUSH_PROMISE of a client is a connection error PROTOCOL_ERROR',
        p => [frame(TYPE.PUSH_PROMISE, FLAG.END_HEADERS, 1, Buffer.concat([uint32(3), headerBlock(p.get)]))],
        connectionError(CODE.PROTOCOL_ERROR),
      ),
    ],
  },
]

function malformed(title: string, frames: (peer: ClientPeer) => Buffer[]): ClientCase {
  return rule(`${title} is a stream error PROTOCOL_ERROR`, frames, streamError(CODE.PROTOCOL_ERROR))
}

/** A request of one HEADERS frame. */
function request(title: string, fields: (peer: ClientPeer) => Fields): ClientCase {
  return malformed(title, p => [head(1, fields(p), 'end')])
}

function without(fields: Fields, name: string): Fields {
  return fields.filter(([key]) => key !== name)
}

function twice(fields: Fields, name: string): Fields {
  return [...fields, ...fields.filter(([key]) => key === name)]
}
