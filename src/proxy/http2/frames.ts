// HTTP/2 frames: their numbers (RFC 9113 6 and 7), and the small ones written straight into a connection's output.
import type { Wire } from '../wire.js'

export const FRAME_HEAD_BYTES = 9
/** What every peer takes without asking (RFC 9113 6.5.2), and what we take: a large frame holds up the other streams. */
export const MAX_FRAME_BYTES = 16_384
export const MAX_WINDOW = 0x7fff_ffff
export const MAX_STREAM_ID = 0x7fff_ffff
/** Windows before any SETTINGS. */
export const DEFAULT_WINDOW_BYTES = 65_535
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const

export const FLAG = { ACK: 0x1, END_STREAM: 0x1, END_HEADERS: 0x4, PADDED: 0x8, PRIORITY: 0x20 } as const

export const CODE = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
} as const

export const SETTING = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
  ENABLE_CONNECT_PROTOCOL: 8,
} as const

/** A frame's nine bytes at buffer[at]; there is room. */
export function putFrameHead(buffer: Buffer, at: number, length: number, type: number, flags: number, id: number): void {
  buffer[at] = length >>> 16
  buffer[at + 1] = length >>> 8
  buffer[at + 2] = length
  buffer[at + 3] = type
  buffer[at + 4] = flags
  putUint32(buffer, at + 5, id)
}

export function putUint32(buffer: Buffer, at: number, value: number): void {
  buffer[at] = value >>> 24
  buffer[at + 1] = value >>> 16
  buffer[at + 2] = value >>> 8
  buffer[at + 3] = value
}

/** Unsigned. */
export function uint32At(buffer: Buffer, at: number): number {
  return ((buffer[at]! << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!) >>> 0
}

/** Of 31 bits: stream ids and window increments, whose first bit is reserved. */
export function uint31At(buffer: Buffer, at: number): number {
  return ((buffer[at]! & 0x7f) << 24) | (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!
}

export function writeReset(wire: Wire, id: number, code: number): void {
  writeUint32Frame(wire, FRAME.RST_STREAM, id, code)
}

export function writeWindowUpdate(wire: Wire, id: number, bytes: number): void {
  writeUint32Frame(wire, FRAME.WINDOW_UPDATE, id, bytes)
}

function writeUint32Frame(wire: Wire, type: number, id: number, value: number): void {
  wire.ensure(FRAME_HEAD_BYTES + 4)
  const at = wire.length
  putFrameHead(wire.buffer, at, 4, type, 0, id)
  putUint32(wire.buffer, at + FRAME_HEAD_BYTES, value)
  wire.length = at + FRAME_HEAD_BYTES + 4
  wire.touch()
}

/** payload[start, start + 8) comes back as it is where it is an answer. */
export function writePing(wire: Wire, flags: number, payload: Buffer, start: number): void {
  wire.ensure(FRAME_HEAD_BYTES + 8)
  const { buffer } = wire
  let at = wire.length
  putFrameHead(buffer, at, 8, FRAME.PING, flags, 0)
  at += FRAME_HEAD_BYTES
  for (let from = start; from < start + 8; from++) buffer[at++] = payload[from]!
  wire.length = at
  wire.touch()
}

/** settings: number, value, number, value… */
export function writeSettings(wire: Wire, settings: readonly number[]): void {
  const length = settings.length * 3
  wire.ensure(FRAME_HEAD_BYTES + length)
  const buffer = wire.buffer
  let at = wire.length
  putFrameHead(buffer, at, length, FRAME.SETTINGS, 0, 0)
  at += FRAME_HEAD_BYTES
  for (let place = 0; place < settings.length; place += 2, at += 6) {
    buffer[at] = 0
    buffer[at + 1] = settings[place]!
    putUint32(buffer, at + 2, settings[place + 1]!)
  }
  wire.length = at
  wire.touch()
}

export function writeSettingsAck(wire: Wire): void {
  wire.ensure(FRAME_HEAD_BYTES)
  putFrameHead(wire.buffer, wire.length, 0, FRAME.SETTINGS, FLAG.ACK, 0)
  wire.length += FRAME_HEAD_BYTES
  wire.touch()
}

/** text: for the peer's log, ASCII. */
export function writeGoaway(wire: Wire, lastId: number, code: number, text: string): void {
  const length = 8 + text.length
  wire.ensure(FRAME_HEAD_BYTES + length)
  const at = wire.length
  putFrameHead(wire.buffer, at, length, FRAME.GOAWAY, 0, 0)
  putUint32(wire.buffer, at + FRAME_HEAD_BYTES, lastId)
  putUint32(wire.buffer, at + FRAME_HEAD_BYTES + 4, code)
  wire.buffer.write(text, at + FRAME_HEAD_BYTES + 8, 'latin1')
  wire.length = at + FRAME_HEAD_BYTES + length
  wire.touch()
}
