// Client sessions that two readers could understand differently: mostly sound requests, their frames mixed, some of them changed.
import type { Chance } from '../http1/reading.js'
import { indexed, literal, sizeUpdate } from './hpack/blocks.js'
import { FLAG, frame, PADDED, PREFACE, PRIORITY, PUSH_PROMISE, settingsFrame, TYPE, uint32 } from './raw-peer.js'

type Pair = [string, string]

const HAS_PRIORITY = 0x20
const METHODS = ['POST', 'POST', 'GET', 'HEAD', 'OPTIONS', 'DELETE', 'PATCH']
const ODD_METHODS = ['', 'get', 'GE T', 'G\r\nT', 'CONNECT', 'PRI', 'M\x80', 'GET ', '!#$']
const PATHS = ['/', '/a?b', '/svc/Call', '/a%2fb', '//x', '/%zz', '/a;b=c|d"e']
const ODD_PATHS = ['', '*', 'a', 'http://h/p', '/a b', '/a\r\nb', '/#f', '/\x80', '/\\', '?q', '/a\tb', '/\x7f', '/\0']
const AUTHORITIES = ['h', 'h:80', 'H', '127.0.0.1:1', '[::1]:80', 'a.b', 'h:']
const ODD_AUTHORITIES = ['', 'u@h', 'h/p', 'h h', 'a,b', 'h\r\n', 'h:x', '[::1', 'h#', '\x80', 'h?', 'h\\', '"h"']
const SCHEMES = ['http', 'http', 'https', 'HTTP']
const ODD_SCHEMES = ['', 'ftp', 'ht tp', 'http:', 'javascript', 'h\x01']
const FIELDS: Pair[] = [
  ['content-type', 'application/grpc'],
  ['te', 'trailers'],
  ['cookie', 'a=b'],
  ['cookie', 'c=d'],
  ['x-bin', '\xff\x80'],
  ['x-empty', ''],
  ['accept', '*/*'],
  ['grpc-timeout', '1S'],
  ['x', 'a b\tc'],
  ['priority', 'u=1, i'],
  ['user-agent', 'oracle/1'],
  ['x-long', 'y'.repeat(300)],
]
const ODD_FIELDS: Pair[] = [
  ['connection', 'close'],
  ['connection', ''],
  ['keep-alive', '1'],
  ['proxy-connection', 'x'],
  ['transfer-encoding', 'chunked'],
  ['upgrade', 'h2c'],
  ['te', 'gzip'],
  ['te', 'Trailers'],
  ['te', ''],
  ['te', 'trailers, gzip'],
  ['host', 'h'],
  ['host', 'other'],
  ['host', ''],
  ['host', 'u@h'],
  ['content-length', '5'],
  ['content-length', '0'],
  ['content-length', '05'],
  ['content-length', '+5'],
  ['content-length', '5, 5'],
  ['content-length', ''],
  ['content-length', '18446744073709551621'],
  ['content-length', '9223372036854775807'],
  ['content-length', '1000000000000000'],
  ['X-Upper', 'a'],
  ['x y', 'a'],
  ['x:y', 'a'],
  ['x\r\ny', 'a'],
  ['', 'a'],
  ['x\x80', 'a'],
  ['x-space', ' a'],
  ['x-space', 'a\t'],
  ['x-crlf', 'a\r\nb: c'],
  ['x-nul', 'a\0b'],
  ['x-low', 'a\x01b'],
  ['x-del', 'a\x7fb'],
  ['priority', 'u=9,,'],
  ['expect', '100-continue'],
  [':status', '200'],
  [':x', 'y'],
  [':', 'y'],
  [':path', '/late'],
  [':protocol', 'websocket'],
  ['trailer', 'x'],
  ['http2-settings', 'AAMAAABk'],
]
const TRAILERS: Pair[] = [
  ['x-sum', '1'],
  ['grpc-status', '0'],
  ['x-empty', ''],
  ['x-bin', '\xfe'],
]
const ODD_TRAILERS: Pair[] = [...ODD_FIELDS, [':method', 'GET'], ['content-type', 'a/b']]

/** The preface and a session, as one client would send them. */
export function mutatedSession(chance: Chance): Buffer {
  const frames = interleaved(
    chance,
    Array.from({ length: 1 + chance.below(3) }, (_, at) => requestFrames(chance, at * 2 + 1)),
  )
  for (let count = chance.below(4); count > 0; count--) frames.splice(chance.below(frames.length + 1), 0, besides(chance))
  const settings = chance.below(8) === 0 ? anySettings(chance) : settingsFrame([])
  const acknowledged = chance.below(4) === 0 ? [] : [frame(TYPE.SETTINGS, FLAG.ACK, 0)]
  const session = [settings, ...acknowledged, ...frames]
  if (chance.below(3) === 0) for (let count = 1 + chance.below(2); count > 0; count--) mutate(chance, session)
  return Buffer.concat([PREFACE, ...session])
}

/** Frames of several requests in one order; a stream begins before those with a higher number. */
function interleaved(chance: Chance, requests: Buffer[][]): Buffer[] {
  const frames: Buffer[] = []
  let opened = 0
  while (requests.some(one => one.length > 0)) {
    const at = chance.below(Math.min(requests.length, opened + 1))
    const from = requests[at]!
    if (from.length === 0) {
      if (at === opened) opened++
      continue
    }
    frames.push(from.shift()!)
    // A header block is not interrupted, or hardly ever.
    while (isOpen(frames.at(-1)!) && from.length > 0 && chance.below(60) > 0) frames.push(from.shift()!)
    if (at === opened) opened++
  }
  return frames
}

function isOpen(bytes: Buffer): boolean {
  return (bytes[3] === TYPE.HEADERS || bytes[3] === TYPE.CONTINUATION) && (bytes[4]! & FLAG.END_HEADERS) === 0
}

function requestFrames(chance: Chance, id: number): Buffer[] {
  const body = chance.below(3) === 0 ? '' : 'some bytes of a body'.slice(0, 1 + chance.below(20)).repeat(chance.below(30) === 0 ? 900 : 1)
  const kind = body === '' ? chance.below(3) : 1 + chance.below(2)
  const fields = requestFields(chance, body)
  const frames = headerFrames(chance, id, fields, kind === 0 ? FLAG.END_STREAM : 0)
  if (kind === 0) return frames
  frames.push(...dataFrames(chance, id, body, kind === 1 ? FLAG.END_STREAM : 0))
  if (kind === 2 && chance.below(20) > 0) {
    const trailers = Array.from({ length: chance.below(3) }, () => chance.of(chance.below(6) === 0 ? ODD_TRAILERS : TRAILERS))
    frames.push(...headerFrames(chance, id, trailers, chance.below(20) === 0 ? 0 : FLAG.END_STREAM))
  }
  return frames
}

function requestFields(chance: Chance, body: string): Pair[] {
  const odd = (usual: string[], other: string[]) => chance.of(chance.below(25) === 0 ? other : usual)
  const pseudo: Pair[] = [
    [':method', odd(METHODS, ODD_METHODS)],
    [':scheme', odd(SCHEMES, ODD_SCHEMES)],
    [':path', odd(PATHS, ODD_PATHS)],
    [':authority', odd(AUTHORITIES, ODD_AUTHORITIES)],
  ]
  if (chance.below(15) === 0) extendedConnect(chance, pseudo)
  if (chance.below(4) === 0) swap(chance, pseudo)
  const dice = chance.below(40)
  if (dice === 0) pseudo.push(chance.of(pseudo))
  if (dice === 1 || dice === 2) pseudo.splice(chance.below(pseudo.length), 1)
  if (dice === 3)
    pseudo.splice(
      pseudo.findIndex(([name]) => name === ':authority'),
      1,
      ['host', 'h'],
    )
  const fields = Array.from({ length: chance.below(5) }, () => chance.of(chance.below(10) === 0 ? ODD_FIELDS : FIELDS))
  if (chance.below(4) === 0) fields.push(['content-length', String(body.length + (chance.below(10) === 0 ? chance.below(5) - 2 : 0))])
  const all = [...pseudo, ...fields]
  if (chance.below(40) === 0) swap(chance, all)
  return all
}

function extendedConnect(chance: Chance, pseudo: Pair[]): void {
  pseudo[0] = [':method', 'CONNECT']
  if (chance.below(3) > 0) pseudo.push([':protocol', chance.below(4) === 0 ? 'connect-udp' : 'websocket'])
  else pseudo.splice(1, 2)
}

function swap(chance: Chance, list: unknown[]): void {
  const one = chance.below(list.length)
  const other = chance.below(list.length)
  const kept = list[one]
  list[one] = list[other]
  list[other] = kept
}

function block(chance: Chance, fields: Pair[]): Buffer {
  const parts: Buffer[] = chance.below(40) === 0 ? [sizeUpdate(chance.of([0, 100, 4096, 4097]))] : []
  for (const [name, value] of fields) {
    const coding = chance.below(3) === 0 ? 'huffman' : 'raw'
    parts.push(literal(chance.of(['plain', 'plain', 'insert', 'never']), name, value, coding))
  }
  // From the static table, or whatever an earlier block has left in the dynamic one.
  if (chance.below(25) === 0) parts.splice(chance.below(parts.length + 1), 0, indexed(chance.below(66)))
  return Buffer.concat(parts)
}

function headerFrames(chance: Chance, id: number, fields: Pair[], ends: number): Buffer[] {
  let rest = block(chance, fields)
  let flags = ends
  const parts: Buffer[] = []
  const cut = chance.below(4) === 0 ? chance.below(rest.length + 1) : rest.length
  let head = rest.subarray(0, cut)
  rest = rest.subarray(cut)
  if (chance.below(8) === 0) {
    flags |= HAS_PRIORITY
    const dependsOn = chance.below(30) === 0 ? id : chance.below(8)
    head = Buffer.concat([uint32(dependsOn + (chance.below(2) === 0 ? 2 ** 31 : 0)), Buffer.from([chance.below(256)]), head])
  }
  if (chance.below(8) === 0) {
    flags |= PADDED
    const padding = chance.below(10)
    head = Buffer.concat([Buffer.from([padding]), head, Buffer.alloc(padding, chance.below(20) === 0 ? 1 : 0)])
  }
  const isWhole = rest.length === 0 && chance.below(10) > 0
  parts.push(frame(TYPE.HEADERS, flags | (isWhole ? FLAG.END_HEADERS : 0), id, head))
  if (isWhole) return parts
  const again = chance.below(3) === 0 ? chance.below(rest.length + 1) : -1
  if (again >= 0) parts.push(frame(TYPE.CONTINUATION, 0, id, rest.subarray(0, again)))
  parts.push(frame(TYPE.CONTINUATION, FLAG.END_HEADERS, id, rest.subarray(Math.max(again, 0))))
  return parts
}

function dataFrames(chance: Chance, id: number, body: string, ends: number): Buffer[] {
  const frames: Buffer[] = []
  let rest = Buffer.from(body, 'latin1')
  do {
    const size = chance.below(3) > 0 ? Math.min(rest.length, 16_000) : chance.below(Math.min(rest.length, 16_000) + 1)
    let payload: Buffer = rest.subarray(0, size)
    rest = rest.subarray(size)
    let flags = 0
    if (chance.below(6) === 0) {
      flags = PADDED
      const padding = chance.below(chance.below(10) === 0 ? 256 : 8)
      payload = Buffer.concat([Buffer.from([padding]), payload, Buffer.alloc(padding)])
    }
    frames.push(frame(TYPE.DATA, flags | (rest.length === 0 ? ends : 0), id, payload))
  } while (rest.length > 0)
  if (chance.below(15) === 0) frames.splice(chance.below(frames.length), 0, frame(TYPE.DATA, 0, id))
  return frames
}

function anySettings(chance: Chance): Buffer {
  const values = [0, 1, 2, 100, 4096, 16_384, 65_535, 65_536, 2 ** 24 - 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]
  return settingsFrame(Array.from({ length: chance.below(4) }, () => [chance.below(9), chance.of(values)]))
}

/** What belongs to no message. */
function besides(chance: Chance): Buffer {
  const id = chance.below(8)
  switch (chance.below(14)) {
    case 0:
    case 1:
      return frame(
        TYPE.PING,
        chance.below(8) === 0 ? FLAG.ACK : 0,
        chance.below(20) === 0 ? id : 0,
        Buffer.alloc(chance.below(20) === 0 ? 7 : 8),
      )
    case 2:
      return anySettings(chance)
    case 3:
      return frame(TYPE.SETTINGS, FLAG.ACK, 0)
    case 4:
    case 5:
      return frame(PRIORITY, 0, id || 1, Buffer.concat([uint32(chance.below(8)), Buffer.from([16])]))
    case 6:
      return frame(
        TYPE.WINDOW_UPDATE,
        0,
        0,
        uint32(chance.below(6) === 0 ? chance.of([0, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) : 1 + chance.below(70_000)),
      )
    case 7:
    case 8:
      return frame(TYPE.WINDOW_UPDATE, 0, id, uint32(chance.below(6) === 0 ? chance.of([0, 2 ** 31 - 1]) : 1 + chance.below(70_000)))
    case 9:
      return frame(TYPE.RST, 0, chance.below(3) * 2 + 1, uint32(chance.below(14)))
    case 10:
      return frame(TYPE.GOAWAY, 0, 0, Buffer.concat([uint32(chance.below(3)), uint32(chance.below(3)), Buffer.from('bye')]))
    case 11:
      return frame(PUSH_PROMISE, FLAG.END_HEADERS, id, Buffer.alloc(4))
    default:
      return frame(10 + chance.below(8), chance.below(256), id, Buffer.from('unknown'.slice(chance.below(7))))
  }
}

/** Changes one frame, or the order of them. */
function mutate(chance: Chance, frames: Buffer[]): void {
  const at = chance.below(frames.length)
  const one = Buffer.from(frames[at]!)
  switch (chance.below(9)) {
    case 0:
      one[4] = one[4]! ^ (1 << chance.below(8))
      break
    case 1:
      one.writeUInt32BE(chance.of([0, 1, 2, 3, 5, 7, 2 ** 31 - 1, 2 ** 31 + 1]), 5)
      break
    case 2:
      one[2] = one[2]! + chance.of([1, 255, 2, 254])
      break
    case 3:
      if (one.length > 9) one[9 + chance.below(one.length - 9)] = chance.below(256)
      break
    case 4:
      one[3] = chance.below(12)
      break
    case 5:
      frames.splice(chance.below(frames.length + 1), 0, one)
      return
    case 6:
      frames.splice(at, 1)
      if (frames.length === 0) frames.push(one)
      return
    case 7:
      swap(chance, frames)
      return
    default: {
      const shorter = one.subarray(0, 9 + chance.below(Math.max(1, one.length - 9)))
      shorter.writeUIntBE(shorter.length - 9, 0, 3)
      frames[at] = shorter
      return
    }
  }
  frames[at] = one
}
