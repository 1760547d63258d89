// Section F, row 73: what a broken or hostile service answers.
import { FLAG, frame, headerBlock, TYPE } from '../h2-frames.js'

export interface BadAnswer {
  title: string
  /** Written as they are; the connection stays open. */
  bytes: string
  /** What may reach a client of HTTP: 502, and 200 where the answer was whole before it went wrong. */
  statuses: number[]
  /** The whole of what a client may see with 200. */
  body?: string
  /** Status of a gRPC call; null where the answer says nothing about gRPC. */
  grpc: 13 | null
}

const HEAD = 'HTTP/1.1 200 OK\r\n'
const bad = (title: string, bytes: string): BadAnswer => ({ title, bytes, statuses: [502], grpc: 13 })

/** More than any service has to say before it answers. */
const FLOOD = 10_000

export const HTTP1_ANSWERS: BadAnswer[] = [
  bad('Content-Length, then Transfer-Encoding', `${HEAD}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`),
  bad('Transfer-Encoding, then Content-Length', `${HEAD}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n`),
  bad('two different Content-Length', `${HEAD}content-length: 5\r\ncontent-length: 3\r\n\r\nhello`),
  bad('two equal Content-Length', `${HEAD}content-length: 5\r\ncontent-length: 5\r\n\r\nhello`),
  bad('a bare CR in a value', `${HEAD}content-length: 2\r\nx-a: b\rx-c: d\r\n\r\nok`),
  bad('101 without Upgrade', 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n'),
  bad('a flood of 1xx', `${'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'.repeat(FLOOD)}${HEAD}content-length: 2\r\n\r\nok`),
  {
    // The answer is whole, and may have gone on, before anybody can know what follows it.
    title: 'a body longer than Content-Length',
    bytes: `${HEAD}content-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison`,
    statuses: [200, 502],
    body: 'ok',
    grpc: null,
  },
]

type FieldList = [string, string][]
const head = (id: number, fields: FieldList, flags: number = FLAG.END_HEADERS): Buffer =>
  frame(TYPE.HEADERS, flags, id, headerBlock(fields))
const data = (id: number, text: string): Buffer => frame(TYPE.DATA, FLAG.END_STREAM, id, Buffer.from(text, 'latin1'))
const GRPC: [string, string] = ['content-type', 'application/grpc']

export interface BadHttp2Answer {
  title: string
  frames(id: number): Buffer[]
}

export const HTTP2_ANSWERS: BadHttp2Answer[] = [
  {
    title: 'CRLF in a value',
    frames: id => [head(id, [[':status', '200'], GRPC, ['x-a', 'b\r\nset-cookie: c=d']]), data(id, '')],
  },
  { title: 'NUL in a value', frames: id => [head(id, [[':status', '200'], GRPC, ['x-a', 'b\0c']]), data(id, '')] },
  { title: 'CRLF in a name', frames: id => [head(id, [[':status', '200'], GRPC, ['x-a\r\nx-b', 'c']]), data(id, '')] },
  {
    title: 'two different content-length',
    frames: id => [head(id, [[':status', '200'], GRPC, ['content-length', '2'], ['content-length', '3']]), data(id, 'ok')],
  },
  {
    title: 'transfer-encoding',
    frames: id => [head(id, [[':status', '200'], GRPC, ['transfer-encoding', 'chunked']]), data(id, '0\r\n\r\n')],
  },
  { title: '101', frames: id => [head(id, [[':status', '101']]), data(id, 'raw')] },
  {
    title: 'a flood of 1xx',
    frames: id => [
      ...Array.from({ length: FLOOD }, () =>
        head(id, [
          [':status', '103'],
          ['link', '</a>'],
        ]),
      ),
      head(id, [[':status', '200'], GRPC]),
      head(id, [['grpc-status', '0']], FLAG.END_HEADERS | FLAG.END_STREAM),
    ],
  },
  { title: 'no :status', frames: id => [head(id, [GRPC, ['x-a', 'b']]), data(id, '')] },
]
