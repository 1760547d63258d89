// The frames and header blocks the cases are made of: nothing here knows src/, so that no fault of ours is mirrored.
import { FLAG as BASE_FLAG, TYPE as BASE_TYPE, type Frame, frame, headerBlock, uint32 } from '../h2-frames.js'

export type Fields = [string, string][]

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
export const TYPE = { ...BASE_TYPE, PRIORITY: 2, PUSH_PROMISE: 5 } as const
export const FLAG = { ...BASE_FLAG, PADDED: 8, PRIORITY: 32 } as const

/** RFC 9113 section 7. */
export const CODE = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
} as const

/** RFC 9113 section 6.5.2. */
export const SETTING = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
} as const

export const MAX_WINDOW = 2 ** 31 - 1
export const DEFAULT_WINDOW = 65_535
export const DEFAULT_FRAME_SIZE = 16_384

/** `end`: nothing follows on the stream.  `more`: something does. */
export type End = 'end' | 'more'

export function data(id: number, payload: string | Buffer, end: End): Buffer {
  return frame(TYPE.DATA, end === 'end' ? FLAG.END_STREAM : 0, id, Buffer.from(payload))
}

/** DATA whose padding is as long as it says. */
export function paddedData(id: number, payload: string, padBytes: number): Buffer {
  const body = Buffer.concat([Buffer.from([padBytes]), Buffer.from(payload), Buffer.alloc(padBytes)])
  return frame(TYPE.DATA, FLAG.END_STREAM | FLAG.PADDED, id, body)
}

/** A HEADERS frame with a whole header block. */
export function head(id: number, fields: Fields, end: End): Buffer {
  return blockHead(id, headerBlock(fields), end)
}

export function blockHead(id: number, block: Buffer, end: End): Buffer {
  return frame(TYPE.HEADERS, FLAG.END_HEADERS | (end === 'end' ? FLAG.END_STREAM : 0), id, block)
}

/** HEADERS that end the stream and carry padding. */
export function paddedHead(id: number, fields: Fields, padBytes: number): Buffer {
  const body = Buffer.concat([Buffer.from([padBytes]), headerBlock(fields), Buffer.alloc(padBytes)])
  return frame(TYPE.HEADERS, FLAG.END_HEADERS | FLAG.END_STREAM | FLAG.PADDED, id, body)
}

/** A HEADERS frame whose block goes on in CONTINUATION. */
export function openHead(id: number, fields: Fields, end: End): Buffer {
  return openBlockHead(id, headerBlock(fields), end)
}

export function openBlockHead(id: number, block: Buffer, end: End): Buffer {
  return frame(TYPE.HEADERS, end === 'end' ? FLAG.END_STREAM : 0, id, block)
}

/** `last`: the header block ends here. */
export function continuation(id: number, block: Buffer, place: 'last' | 'middle'): Buffer {
  return frame(TYPE.CONTINUATION, place === 'last' ? FLAG.END_HEADERS : 0, id, block)
}

/** What a HEADERS frame with PRIORITY and a PRIORITY frame carry.  weight: 1 to 256. */
export function priorityFields(dependsOn: number, weight: number, exclusive: 'exclusive' | 'shared' = 'shared'): Buffer {
  return Buffer.concat([uint32(exclusive === 'exclusive' ? dependsOn + 2 ** 31 : dependsOn), Buffer.from([weight - 1])])
}

export function priority(id: number, fields: Buffer): Buffer {
  return frame(TYPE.PRIORITY, 0, id, fields)
}

/** HEADERS that end the stream and carry priority fields. */
export function priorityHead(id: number, fields: Fields, weight: Buffer): Buffer {
  const flags = FLAG.END_HEADERS | FLAG.END_STREAM | FLAG.PRIORITY
  return frame(TYPE.HEADERS, flags, id, Buffer.concat([weight, headerBlock(fields)]))
}

export function reset(id: number, code: number): Buffer {
  return frame(TYPE.RST, 0, id, uint32(code))
}

export function settings(...values: [number, number][]): Buffer {
  return frame(TYPE.SETTINGS, 0, 0, settingsPayload(values))
}

function settingsPayload(values: [number, number][]): Buffer {
  return Buffer.concat(
    values.map(([name, value]) => {
      const entry = Buffer.alloc(6)
      entry.writeUInt16BE(name)
      entry.writeUInt32BE(value, 2)
      return entry
    }),
  )
}

export function settingsAck(): Buffer {
  return frame(TYPE.SETTINGS, FLAG.ACK, 0)
}

/** payload: 8 bytes. */
export function ping(payload = 'pingpong', kind: 'ack' | 'ask' = 'ask'): Buffer {
  return frame(TYPE.PING, kind === 'ack' ? FLAG.ACK : 0, 0, Buffer.from(payload))
}

export function goaway(lastId: number, code: number, text = ''): Buffer {
  return frame(TYPE.GOAWAY, 0, 0, Buffer.concat([uint32(lastId), uint32(code), Buffer.from(text)]))
}

export function windowUpdate(id: number, increment: number): Buffer {
  return frame(TYPE.WINDOW_UPDATE, 0, id, uint32(increment))
}

/** Large enough that five of them exceed one frame of the default size, small enough that one does not. */
export function bulk(count: number): Fields {
  return Array.from({ length: count }, (_, at) => [`x-bulk${at}`, 'x'.repeat(3500)])
}

/** A frame in a failure message: `HEADERS(stream 1, flags 0x05, 30 bytes)`. */
export function described(one: Frame): string {
  const name = Object.entries(TYPE).find(([, type]) => type === one.type)?.[0] ?? `type ${one.type}`
  if (one.type === TYPE.GOAWAY && one.payload.length >= 8) return `GOAWAY(${codeName(one.payload.readUInt32BE(4))})`
  if (one.type === TYPE.RST && one.payload.length === 4) return `RST_STREAM(stream ${one.id}, ${codeName(one.payload.readUInt32BE(0))})`
  return `${name}(stream ${one.id}, flags 0x${one.flags.toString(16).padStart(2, '0')}, ${one.payload.length} bytes)`
}

export function codeName(code: number): string {
  return Object.entries(CODE).find(([, value]) => value === code)?.[0] ?? `code ${code}`
}
