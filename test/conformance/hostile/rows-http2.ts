// Section F, rows 50 to 65: HTTP/2 requests that must not get through, and the gentle ones beside them.  `prefix` is that of the service under test.
import { FLAG, frame, headerBlock, TYPE } from '../h2-frames.js'
import { request } from './h2-client.js'
import type { Expected } from './rows-framing.js'

type FieldList = [string, string][]

export interface RefusedStream {
  row: number
  title: string
  /** On stream 1; one packet. */
  frames(prefix: string): Buffer[]
  /** A second packet, when the head has arrived at the service, or 150 ms later. */
  second?: Buffer[]
  /** `reset`: RST_STREAM with PROTOCOL_ERROR.  `400`: that, or the status. */
  answer: 'reset' | '400'
  origin: 'nothing' | 'cut'
}

export interface PassedStream {
  row: number
  title: string
  frames(prefix: string): Buffer[]
  answer: string
  /** What the service hears, in either protocol. */
  heard: Record<'http1' | 'http2', Expected>
}

const END = FLAG.END_HEADERS | FLAG.END_STREAM

const whole = (fields: FieldList): Buffer => frame(TYPE.HEADERS, END, 1, headerBlock(fields))
const open = (fields: FieldList): Buffer => frame(TYPE.HEADERS, FLAG.END_HEADERS, 1, headerBlock(fields))
const data = (text: string, flags: number = FLAG.END_STREAM): Buffer => frame(TYPE.DATA, flags, 1, Buffer.from(text, 'latin1'))
const trailers = (fields: FieldList, flags: number = END): Buffer => frame(TYPE.HEADERS, flags, 1, headerBlock(fields))

const get = (prefix: string, change: Record<string, string> = {}): FieldList => request(`${prefix}x`, change)
const post = (prefix: string, change: Record<string, string> = {}): FieldList => get(prefix, { ':method': 'POST', ...change })
const lacks = (fields: FieldList, name: string): FieldList => fields.filter(([each]) => each !== name)

const refused = (
  row: number,
  title: string,
  fields: (prefix: string) => FieldList,
  answer: RefusedStream['answer'] = 'reset',
): RefusedStream => {
  return { row, title, frames: prefix => [whole(fields(prefix))], answer, origin: 'nothing' }
}

const field = (row: number, title: string, name: string, value: string): RefusedStream =>
  refused(row, title, prefix => [...get(prefix), [name, value]])

const pseudo = (row: number, name: string, value: string, title = `${name}: ${JSON.stringify(value)}`): RefusedStream =>
  refused(row, title, prefix => get(prefix, { [name]: value }))

/** A body or trailers that contradict the head: in one packet with it, and in a second one. */
const contradicts = (row: number, title: string, head: (prefix: string) => FieldList, rest: Buffer[]): RefusedStream[] => [
  { row, title: `${title}, in one packet`, frames: prefix => [open(head(prefix)), ...rest], answer: 'reset', origin: 'cut' },
  { row, title: `${title}, in a second packet`, frames: prefix => [open(head(prefix))], second: rest, answer: 'reset', origin: 'cut' },
]

export const REFUSED: RefusedStream[] = [
  field(50, 'CR in a value', 'x-a', 'b\rc'),
  field(50, 'LF in a value', 'x-a', 'b\nc'),
  field(50, 'NUL in a value', 'x-a', 'b\0c'),
  field(50, 'CRLF and a request in a value', 'x-a', 'b\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n'),
  field(50, 'a space in a name', 'x a', 'b'),
  field(50, 'a colon in a name', 'x:a', 'b'),
  field(50, 'CRLF in a name', 'x-a\r\nx-b', 'c'),
  field(50, 'an empty name', '', 'b'),
  field(51, 'an upper-case name', 'X-Upper', 'b'),
  field(52, 'a space before a value', 'x-a', ' b'),
  field(52, 'a space behind a value', 'x-a', 'b '),
  field(52, 'a tab before a value', 'x-a', '\tb'),
  field(52, 'a tab behind a value', 'x-a', 'b\t'),
  field(53, 'transfer-encoding', 'transfer-encoding', 'chunked'),
  {
    row: 53,
    title: 'transfer-encoding with a body',
    frames: prefix => [
      open([...post(prefix), ['transfer-encoding', 'chunked']]),
      data('0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n'),
    ],
    answer: 'reset',
    origin: 'nothing',
  },
  {
    row: 54,
    title: 'content-length 0 with a body, in one packet',
    frames: prefix => [open(post(prefix, { 'content-length': '0' })), data('GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n')],
    answer: 'reset',
    origin: 'cut',
  },
  ...contradicts(54, 'a content-length that the body exceeds', prefix => post(prefix, { 'content-length': '3' }), [
    data('abcGET /smuggled HTTP/1.1\r\nhost: h\r\n\r\n'),
  ]),
  ...contradicts(54, 'a content-length that the body does not reach', prefix => post(prefix, { 'content-length': '9' }), [data('abc')]),
  { ...refused(54, 'a content-length without a body', prefix => post(prefix, { 'content-length': '9' })), origin: 'nothing' },
  refused(54, 'two content-length', prefix => [...post(prefix), ['content-length', '0'], ['content-length', '0']]),
  refused(54, 'two different content-length', prefix => [...post(prefix), ['content-length', '0'], ['content-length', '9']]),
  field(55, 'connection', 'connection', 'close'),
  field(55, 'keep-alive', 'keep-alive', '5'),
  field(55, 'proxy-connection', 'proxy-connection', 'close'),
  field(55, 'upgrade', 'upgrade', 'websocket'),
  field(56, 'te: gzip', 'te', 'gzip'),
  field(56, 'te: trailers, gzip', 'te', 'trailers, gzip'),
  refused(57, 'host that differs from :authority', prefix => get(prefix, { host: 'other' }), '400'),
  refused(58, 'neither :authority nor host', prefix => lacks(get(prefix), ':authority'), '400'),
  refused(58, 'an empty :authority', prefix => get(prefix, { ':authority': '' }), '400'),
  refused(58, 'userinfo in :authority', prefix => get(prefix, { ':authority': 'user@h' }), '400'),
  pseudo(59, ':path', ''),
  refused(59, ':path without a slash', prefix => get(prefix, { ':path': `${prefix.slice(1)}x` })),
  refused(59, ':path is an absolute URI', prefix => get(prefix, { ':path': `http://h${prefix}x` })),
  refused(59, ':path with a space', prefix => get(prefix, { ':path': `${prefix}a b` })),
  refused(59, ':path with CRLF', prefix => get(prefix, { ':path': `${prefix}x HTTP/1.1\r\nx-a: b\r\n\r\nGET ${prefix}smuggled` })),
  refused(59, ':path with a fragment', prefix => get(prefix, { ':path': `${prefix}x#y` })),
  pseudo(60, ':method', 'GE T'),
  pseudo(60, ':method', 'GET /smuggled HTTP/1.1\r\nhost: h\r\n\r\nGET'),
  pseudo(61, ':scheme', 'ht tp'),
  pseudo(61, ':scheme', ''),
  pseudo(61, ':scheme', 'http://x/?'),
  refused(62, 'two :path', prefix => [...get(prefix), [':path', `${prefix}y`]]),
  refused(62, 'two :method', prefix => [[':method', 'GET'], ...get(prefix)]),
  refused(62, 'an unknown pseudo field', prefix => [...get(prefix), [':other', '1']]),
  refused(62, 'a pseudo field behind a plain one', prefix => [['x-a', '1'], ...get(prefix)]),
  refused(62, ':status in a request', prefix => [...get(prefix), [':status', '200']]),
  refused(62, ':protocol without CONNECT', prefix => get(prefix, { ':protocol': 'websocket' })),
  refused(62, 'no :method', prefix => lacks(get(prefix), ':method')),
  refused(62, 'no :scheme', prefix => lacks(get(prefix), ':scheme')),
  refused(62, 'no :path', prefix => lacks(get(prefix), ':path')),
  ...contradicts(63, 'trailers with a pseudo field', post, [
    data('abc', 0),
    trailers([
      ['x-sum', '9'],
      [':path', '/smuggled'],
    ]),
  ]),
  ...contradicts(63, 'trailers without END_STREAM', post, [data('abc', 0), trailers([['x-sum', '9']], FLAG.END_HEADERS)]),
]

const hears = (change: Partial<Expected>, framing: Expected['framing'] = 'none'): PassedStream['heard'] => {
  const expected: Expected = { method: 'GET', target: '/x', framing, body: '', ...change }
  const fields = change.fields ?? []
  return { http1: { ...expected, fields: ['host: h', ...fields].toSorted() }, http2: { ...expected, fields: [...fields] } }
}

const crumbs = hears({ fields: ['cookie: a=1; b=2; c=3'] })

export const PASSED: PassedStream[] = [
  {
    row: 56,
    title: 'te: trailers goes on',
    frames: prefix => [whole(get(prefix, { te: 'trailers' }))],
    answer: '/x',
    heard: hears({ fields: ['te: trailers'] }),
  },
  { row: 57, title: 'host equal to :authority', frames: prefix => [whole(get(prefix, { host: 'h' }))], answer: '/x', heard: hears({}) },
  {
    row: 58,
    title: 'host without :authority',
    frames: prefix => [whole([...lacks(get(prefix), ':authority'), ['host', 'h']])],
    answer: '/x',
    heard: hears({}),
  },
  { row: 61, title: 'https on cleartext', frames: prefix => [whole(get(prefix, { ':scheme': 'https' }))], answer: '/x', heard: hears({}) },
  {
    row: 63,
    title: 'content-length in trailers is dropped, the others stay',
    frames: prefix => [
      open(post(prefix)),
      data('abc', 0),
      trailers([
        ['content-length', '100'],
        ['x-sum', '9'],
      ]),
    ],
    answer: '/x',
    heard: hears({ method: 'POST', body: 'abc', trailers: ['x-sum: 9'] }, 'chunked'),
  },
  {
    row: 64,
    title: 'request trailers go on',
    frames: prefix => [
      open(post(prefix)),
      data('abc', 0),
      trailers([
        ['x-sum', '9'],
        ['x-more', 'a b,  c'],
      ]),
    ],
    answer: '/x',
    heard: hears({ method: 'POST', body: 'abc', trailers: ['x-sum: 9', 'x-more: a b,  c'] }, 'chunked'),
  },
  {
    row: 65,
    title: 'cookie crumbs are one field for HTTP/1.1',
    frames: prefix => [whole([...get(prefix), ['cookie', 'a=1'], ['cookie', 'b=2'], ['cookie', 'c=3']])],
    answer: '/x',
    // HTTP/2 may have them either way (RFC 9113 8.2.3): the test joins what comes.
    heard: crumbs,
  },
  {
    row: 54,
    title: 'content-length that the body reaches exactly',
    frames: prefix => [open(post(prefix, { 'content-length': '5' })), data('he', 0), data('llo')],
    answer: '/x',
    heard: hears({ method: 'POST', body: 'hello' }, 'length'),
  },
]
