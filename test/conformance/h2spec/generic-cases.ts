// What any HTTP/2 server must take: frames in every usual form, whole exchanges, header blocks in every representation.
import { headerBlock } from '../h2-frames.js'
import type { Section } from './cases.js'
import { bare, type ClientCase, rule } from './downstream.js'
import {
  answered,
  connectionClose,
  frameOf,
  pingAcknowledged,
  pingAcknowledgedOrClose,
  serverPreface,
  settingsAcknowledged,
  streamClose,
} from './expectations.js'
import { type Coding, indexed, type Literal, literal, literalAt, sizeUpdate, text, USER_AGENT } from './hpack-literals.js'
import {
  blockHead,
  CODE,
  continuation,
  DEFAULT_WINDOW,
  data,
  type Fields,
  goaway,
  head,
  openBlockHead,
  PREFACE,
  paddedData,
  paddedHead,
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

export const GENERIC: Section<ClientCase>[] = [
  {
    group: 'generic',
    number: '1',
    cases: [
      bare(
        'the first frame after a client preface is SETTINGS',
        () => [PREFACE, settings([SETTING.INITIAL_WINDOW_SIZE, DEFAULT_WINDOW])],
        serverPreface,
      ),
    ],
  },
  {
    group: 'generic',
    number: '2',
    cases: [
      rule('PRIORITY on an idle stream is accepted', () => [priority(1, priorityFields(0, 256)), ping()], pingAcknowledged()),
      rule(
        'WINDOW_UPDATE on a half-closed (remote) stream is accepted',
        p => [settings([SETTING.INITIAL_WINDOW_SIZE, 0]), head(1, p.get, 'end'), windowUpdate(1, 1)],
        frameOf(TYPE.DATA),
      ),
      rule(
        'PRIORITY on a half-closed (remote) stream is accepted',
        p => [settings([SETTING.INITIAL_WINDOW_SIZE, 0]), head(1, p.get, 'end'), priority(1, priorityFields(0, 256)), windowUpdate(1, 1)],
        frameOf(TYPE.DATA),
      ),
      rule(
        'RST_STREAM on a half-closed (remote) stream is accepted',
        p => [head(1, p.get, 'end'), reset(1, CODE.CANCEL), ping()],
        pingAcknowledgedOrClose(),
      ),
      rule(
        'PRIORITY on a closed stream is accepted',
        p => [head(1, p.get, 'end')],
        streamClose,
        () => [priority(1, priorityFields(0, 256)), ping()],
        pingAcknowledged(),
      ),
    ],
  },
  {
    group: 'generic',
    number: '3.1',
    cases: [
      rule('a DATA frame is accepted', p => [head(1, p.post, 'more'), data(1, 'test', 'end')], answered(1)),
      rule(
        'several DATA frames are accepted',
        p => [head(1, p.post, 'more'), data(1, 'test', 'more'), data(1, 'test', 'end')],
        answered(1),
      ),
      rule('a DATA frame with padding is accepted', p => [head(1, p.post, 'more'), paddedData(1, 'test', 6)], answered(1)),
    ],
  },
  {
    group: 'generic',
    number: '3.2',
    cases: [
      rule('a HEADERS frame is accepted', p => [head(1, p.get, 'end')], answered(1)),
      rule('a HEADERS frame with padding is accepted', p => [paddedHead(1, p.get, 8)], answered(1)),
      rule('a HEADERS frame with priority is accepted', p => [priorityHead(1, p.get, priorityFields(0, 256))], answered(1)),
    ],
  },
  {
    group: 'generic',
    number: '3.3',
    cases: [
      prioritized('a PRIORITY frame of weight 1 is accepted', 1, priorityFields(0, 1)),
      prioritized('a PRIORITY frame of weight 256 is accepted', 1, priorityFields(0, 256)),
      prioritized('a PRIORITY frame with a stream dependency is accepted', 3, priorityFields(1, 1)),
      prioritized('an exclusive PRIORITY frame is accepted', 1, priorityFields(0, 1, 'exclusive')),
      prioritized('after a PRIORITY frame for an idle stream, a HEADERS frame for a lower one is answered', 3, priorityFields(0, 256)),
    ],
  },
  {
    group: 'generic',
    number: '3.4',
    cases: [
      rule('a RST_STREAM frame is accepted', p => [head(1, p.get, 'more'), reset(1, CODE.CANCEL), ping()], pingAcknowledgedOrClose()),
    ],
  },
  {
    group: 'generic',
    number: '3.5',
    cases: [
      rule(
        'a SETTINGS frame with all six settings is acknowledged',
        () => [
          settings(
            [SETTING.HEADER_TABLE_SIZE, 4096],
            [SETTING.ENABLE_PUSH, 1],
            [SETTING.MAX_CONCURRENT_STREAMS, 100],
            [SETTING.INITIAL_WINDOW_SIZE, 65_535],
            [SETTING.MAX_FRAME_SIZE, 16_384],
            [SETTING.MAX_HEADER_LIST_SIZE, 100],
          ),
        ],
        settingsAcknowledged,
      ),
    ],
  },
  {
    group: 'generic',
    number: '3.7',
    cases: [rule('a PING frame is answered with the same payload', () => [ping('payload!')], pingAcknowledged('payload!'))],
  },
  {
    group: 'generic',
    number: '3.8',
    cases: [rule('a GOAWAY frame is accepted: the connection is closed', () => [goaway(0, CODE.NO_ERROR, 'bye')], connectionClose)],
  },
  {
    group: 'generic',
    number: '3.9',
    cases: [
      rule('a WINDOW_UPDATE frame on stream 0 is accepted', () => [windowUpdate(0, 1), ping()], frameOf(TYPE.PING)),
      rule('a WINDOW_UPDATE frame on stream 1 is accepted', p => [head(1, p.get, 'end'), windowUpdate(1, 1)], frameOf(TYPE.HEADERS)),
    ],
  },
  {
    group: 'generic',
    number: '3.10',
    cases: [
      rule(
        'a CONTINUATION frame is accepted',
        p => split(p.get, 5).map((part, place) => (place === 0 ? openBlockHead(1, part, 'end') : continuation(1, part, 'last'))),
        answered(1),
      ),
      rule(
        'several CONTINUATION frames are accepted',
        p => {
          const [first, second, third] = split(p.get, 5, 10) as [Buffer, Buffer, Buffer]
          return [openBlockHead(1, first, 'end'), continuation(1, second, 'middle'), continuation(1, third, 'last')]
        },
        answered(1),
      ),
    ],
  },
  {
    group: 'generic',
    number: '4',
    cases: [
      rule('a GET request is answered', p => [head(1, p.get, 'end')], answered(1)),
      rule('a HEAD request is answered', p => [head(1, p.method('HEAD'), 'end')], answered(1)),
      rule('a POST request is answered', p => [head(1, p.post, 'more'), data(1, 'test', 'end')], answered(1)),
      rule(
        'a POST request with trailers is answered',
        p => [head(1, [...p.post, ['trailer', 'x-test']], 'more'), data(1, 'test', 'more'), head(1, [['x-test', 'ok']], 'end')],
        answered(1),
      ),
    ],
  },
  {
    group: 'generic',
    number: '5',
    cases: [
      represented('an indexed field', () => indexed(USER_AGENT)),
      ...literals('incremental', 'with incremental indexing', ['huffman', 'plain', 'plain', 'huffman']),
      ...literals('without', 'without indexing', ['plain', 'huffman', 'plain', 'huffman']),
      ...literals('never', 'never indexed', ['plain', 'huffman', 'plain', 'huffman']),
      rule(
        'a dynamic table size update is accepted',
        p => [blockHead(1, Buffer.concat([sizeUpdate(0), headerBlock(p.get)]), 'end')],
        answered(1),
      ),
      rule(
        'two dynamic table size updates in a row are accepted',
        p => [blockHead(1, Buffer.concat([sizeUpdate(128), sizeUpdate(4096), headerBlock(p.get)]), 'end')],
        answered(1),
      ),
    ],
  },
]

/** PRIORITY on a stream, then a request on stream 1. */
function prioritized(title: string, id: number, fields: Buffer): ClientCase {
  return rule(title, p => [priority(id, fields), head(1, p.get, 'end')], answered(1))
}

/** A header block cut before these bytes. */
function split(fields: Fields, ...places: number[]): Buffer[] {
  const block = headerBlock(fields)
  return [0, ...places].map((place, at) => block.subarray(place, places[at]))
}

/** A request whose header block ends with this representation. */
function represented(title: string, bytes: () => Buffer): ClientCase {
  return rule(`${title} is accepted`, p => [blockHead(1, Buffer.concat([headerBlock(p.get), bytes()]), 'end')], answered(1))
}

/** Twice with the name from the static table, twice with it spelled out; codings: of the texts, in the original's order. */
function literals(kind: Literal, title: string, codings: [Coding, Coding, Coding, Coding]): ClientCase[] {
  return codings.map((coding, place) =>
    place < 2
      ? represented(`a literal ${title}, indexed name, ${coding} value`, () => literalAt(kind, USER_AGENT, text('h2spec', coding)))
      : represented(`a literal ${title}, new name, all ${coding}`, () => literal(kind, text('x-test', coding), text('h2spec', coding))),
  )
}
