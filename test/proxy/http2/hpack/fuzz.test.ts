// Seeded round trips over random tables, and 240 000 random and mutated blocks that must neither throw, hang nor grow.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HpackDecoder } from '../../../../src/proxy/http2/hpack/decoder.js'
import { HpackEncoder } from '../../../../src/proxy/http2/hpack/encoder.js'
import { decode, dice, indexed, literal, Sink, sizeUpdate } from './blocks.js'

const NAMES = ':method :path :status :authority content-type te x-a x-b x-tenant user-agent cookie date authorization'.split(' ')

function text(random: () => number, most: number): string {
  const length = Math.floor(random() * random() * most)
  let value = ''
  for (let place = 0; place < length; place++) value += String.fromCharCode(random() < 0.95 ? 33 + random() * 94 : 128 + random() * 128)
  return value
}

test('what we encode we decode, over changing table sizes (seeded)', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = dice(seed)
    const encoder = new HpackEncoder()
    const decoder = new HpackDecoder(4096)
    const sink = new Sink()
    const values = Array.from({ length: 60 }, () => text(random, 200))
    for (let round = 0; round < 250; round++) {
      if (random() < 0.05) encoder.peerTableBytes(Math.floor(random() * (random() < 0.5 ? 300 : 6000)))
      const fields: string[] = []
      for (let count = random() * 14; count > 0; count--) {
        fields.push(random() < 0.9 ? NAMES[Math.floor(random() * NAMES.length)]! : `x-${Math.floor(random() * 300)}`)
        fields.push(random() < 0.8 ? values[Math.floor(random() * values.length)]! : text(random, 200))
      }
      encoder.begin(sink)
      for (let place = 0; place < fields.length; place += 2) encoder.field(sink, fields[place]!, fields[place + 1]!)
      assert.deepEqual(decode(decoder, sink.take()), { result: 0, fields }, `seed ${seed}, round ${round}`)
    }
  }
})

test('any fields at all go there and back (fast-check)', () => {
  const name = fc.stringMatching(/^:?[a-z0-9!#$%&'*+.^_`|~-]{1,40}$/)
  const value = fc.stringMatching(/^([!-~\x80-\xff]([ -~\x80-\xff]{0,200}[!-~\x80-\xff])?)?$/)
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value), { maxLength: 30 }), fields => {
      const encoder = new HpackEncoder()
      const decoder = new HpackDecoder(4096)
      const sink = new Sink()
      for (let sight = 0; sight < 3; sight++) {
        encoder.begin(sink)
        for (const [key, word] of fields) encoder.field(sink, key, word)
        assert.deepEqual(decode(decoder, sink.take()), { result: 0, fields: fields.flat() })
      }
    }),
    { numRuns: 300, seed: 7541 },
  )
})

function seedBlock(random: () => number): Buffer {
  const parts: Buffer[] = random() < 0.1 ? [sizeUpdate(Math.floor(random() * 4200))] : []
  for (let count = random() * 8; count > 0; count--) {
    const kind = (['insert', 'plain', 'never'] as const)[Math.floor(random() * 3)]!
    const name = random() < 0.5 ? NAMES[Math.floor(random() * NAMES.length)]! : 1 + Math.floor(random() * 70)
    if (random() < 0.4) parts.push(indexed(1 + Math.floor(random() * 66)))
    else parts.push(literal(kind, name, text(random, 60), random() < 0.5 ? 'huffman' : 'raw'))
  }
  return Buffer.concat(parts)
}

function mutated(random: () => number, block: Buffer): Buffer {
  const copy = Buffer.from(block)
  for (let flips = 1 + random() * 3; flips > 0 && copy.length > 0; flips--) copy[Math.floor(random() * copy.length)] = random() * 256
  const cut = random()
  if (cut < 0.1) return copy.subarray(0, Math.floor(random() * copy.length))
  return cut < 0.2 ? Buffer.concat([copy, block]) : copy
}

const noise = (random: () => number): Buffer => Buffer.from(Array.from({ length: random() * 60 }, () => random() * 256))

test('240 000 random and mutated blocks: never a throw, a hang or growth; a block beyond its limit leaves the table as one within it', () => {
  const random = dice(20_261_122)
  const seeds = Array.from({ length: 2000 }, () => seedBlock(random))
  let free = new HpackDecoder(4096)
  let limited = new HpackDecoder(4096)
  const results = [0, 0, 0, 0]
  for (let round = 0; round < 240_000; round++) {
    const seed = seeds[Math.floor(random() * seeds.length)]!
    const block = round % 8 === 0 ? noise(random) : round % 3 === 0 ? seed : mutated(random, seed)
    const fields: string[] = []
    const result = free.decode(block, 0, block.length, fields, 1 << 30, 1 << 30)
    const some: string[] = []
    const again = limited.decode(block, 0, block.length, some, 100, 2)
    results[result]!++
    // The limits change what is collected and nothing else.
    if (result === 2 || some.length > 4 || again !== (result === 0 && some.length < fields.length ? 2 : result)) {
      assert.fail(`round ${round}: ${block.toString('hex')} gave ${result} and ${again}`)
    }
    if (result === 3 || random() < 0.01) {
      free = new HpackDecoder(4096)
      limited = new HpackDecoder(4096)
    }
  }
  assert.ok(results[0]! > 50_000 && results[1]! > 1000 && results[3]! > 20_000, `results were ${results}`)
})
