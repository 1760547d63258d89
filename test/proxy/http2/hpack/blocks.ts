// What the HPACK tests share: blocks written by hand, a Huffman encoder of the plainest kind, seeded dice, and a sink.

import { type Decoded, HpackDecoder } from '../../../../src/proxy/http2/hpack/decoder.js'
import type { ByteSink } from '../../../../src/proxy/http2/hpack/encoder.js'
import { CODE_LENGTHS, CODE_WORDS } from '../../../../src/proxy/http2/hpack/huffman.js'
import { writeInteger } from '../../../../src/proxy/http2/hpack/integers.js'

export class Sink implements ByteSink {
  buffer: Buffer = Buffer.alloc(64)
  length = 0

  ensure(bytes: number): void {
    if (this.length + bytes <= this.buffer.length) return
    const larger = Buffer.alloc((this.length + bytes) * 2)
    this.buffer.copy(larger, 0, 0, this.length)
    this.buffer = larger
  }

  /** What was written, and an empty sink. */
  take(): Buffer {
    const bytes = Buffer.from(this.buffer.subarray(0, this.length))
    this.length = 0
    return bytes
  }
}

export const hex = (text: string): Buffer => Buffer.from(text.replace(/\s+/g, ''), 'hex')

/** RFC 7541 5.2, one bit after the other. */
export function huffman(text: Buffer): Buffer {
  let bits = ''
  for (const byte of text) bits += CODE_WORDS[byte]!.toString(2).padStart(CODE_LENGTHS[byte]!, '0')
  return fromBits(bits + '1'.repeat((8 - (bits.length % 8)) % 8))
}

export const fromBits = (bits: string): Buffer => Buffer.from((bits.match(/.{8}/g) ?? []).map(byte => Number.parseInt(byte, 2)))

export function integer(pattern: number, prefixMax: number, value: number): Buffer {
  const bytes = Buffer.alloc(8)
  return bytes.subarray(0, writeInteger(bytes, 0, pattern, prefixMax, value))
}

export type Coding = 'raw' | 'huffman'

export function string(text: string, coding: Coding = 'raw'): Buffer {
  const raw = Buffer.from(text, 'latin1')
  const body = coding === 'huffman' ? huffman(raw) : raw
  return Buffer.concat([integer(coding === 'huffman' ? 0x80 : 0, 0x7f, body.length), body])
}

export const indexed = (index: number): Buffer => integer(0x80, 0x7f, index)
export const sizeUpdate = (bytes: number): Buffer => integer(0x20, 0x1f, bytes)

export type Kind = 'insert' | 'plain' | 'never'
const PATTERNS: Record<Kind, [number, number]> = { insert: [0x40, 0x3f], plain: [0, 0x0f], never: [0x10, 0x0f] }

/** name: a string, or the index of one. */
export function literal(kind: Kind, name: string | number, value: string, coding: Coding = 'raw'): Buffer {
  const [pattern, prefixMax] = PATTERNS[kind]
  const named = typeof name === 'number' ? integer(pattern, prefixMax, name) : Buffer.concat([Buffer.from([pattern]), string(name, coding)])
  return Buffer.concat([named, string(value, coding)])
}

export interface Result {
  result: Decoded
  fields: string[]
}

export function decode(decoder: HpackDecoder, block: Buffer, maxListBytes = 1 << 20, maxFields = 10_000): Result {
  const fields: string[] = []
  const result = decoder.decode(block, 0, block.length, fields, maxListBytes, maxFields)
  return { result, fields }
}

export const decodeOnce = (...parts: Buffer[]): Result => decode(new HpackDecoder(4096), Buffer.concat(parts))

/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
export function dice(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
