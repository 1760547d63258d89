// Which fields go on as never indexed: those a peer marked, by name, and everything of a peer that marks more than anyone needs.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HpackDecoder } from '../../../../src/proxy/http2/hpack/decoder.js'
import { HpackEncoder } from '../../../../src/proxy/http2/hpack/encoder.js'
import { MAX_MARKED_BYTES, NeverIndexed } from '../../../../src/proxy/http2/hpack/never-indexed.js'
import { Output } from '../../../../src/proxy/http2/output.js'
import type { Wire } from '../../../../src/proxy/wire.js'
import { decode, literal, Sink } from './blocks.js'

const FRAME_HEAD_BYTES = 9

test('a name is kept from its first mark on, and no other is', () => {
  const marked = new NeverIndexed()
  assert.deepEqual([marked.isEmpty, marked.has('x-a')], [true, false])
  marked.add(['x-a', 'x-a'])
  assert.deepEqual([marked.isEmpty, marked.has('x-a'), marked.has('x-b')], [false, true, false])
})

test('what the encoder takes for a secret anyway needs no list: a client that marks credentials leaves the usual path usual', () => {
  const marked = new NeverIndexed()
  marked.add(['authorization', 'proxy-authorization', 'x-api-key'])
  assert.equal(marked.isEmpty, true)
  // A cookie is a secret only where it is short.
  marked.add(['cookie'])
  assert.equal(marked.has('cookie'), true)
})

test('names beyond what a connection may have kept make all of its fields never indexed, and cost no memory', () => {
  const marked = new NeverIndexed()
  const name = (number: number) => `x-${String(number).padStart(62, '0')}`
  const most = MAX_MARKED_BYTES / (64 + 32)
  for (let number = 0; number < Math.floor(most); number++) marked.add([name(number)])
  assert.deepEqual([marked.has(name(0)), marked.has('x-other')], [true, false])
  marked.add([name(999)])
  assert.deepEqual([marked.has(name(0)), marked.has(name(999)), marked.has('x-other')], [true, true, true])
  const one = new NeverIndexed()
  one.add(['n'.repeat(MAX_MARKED_BYTES)])
  assert.equal(one.has('x-other'), true)
})

test('a head is written with its marks, also where the same field is in the table, and the next one without', () => {
  const sink = new Sink()
  const output = new Output(Object.assign(sink, { touch: () => {} }) as unknown as Wire)
  const decoder = new HpackDecoder(4096)
  const read = () => {
    const block = sink.take().subarray(FRAME_HEAD_BYTES)
    const { fields } = decode(decoder, block)
    return { fields, neverIndexed: [...decoder.neverIndexed], bytes: block.length }
  }
  const fields = ['x-a', 'value', 'x-b', 'value']
  const marked = new NeverIndexed()
  marked.add(['x-a'])
  for (let sight = 0; sight < 3; sight++) {
    output.head(1, fields, 0)
    assert.deepEqual(read().neverIndexed, [])
  }
  for (let sight = 0; sight < 3; sight++) {
    output.head(1, fields, 0, marked)
    const got = read()
    assert.deepEqual(got.fields, fields)
    assert.deepEqual(got.neverIndexed, ['x-a'])
    output.head(1, fields, 0)
    assert.deepEqual(read(), { fields, neverIndexed: [], bytes: 2 })
  }
})

test('a value that was only ever sent as never indexed is in no table: it can be found out by no guess', () => {
  const sink = new Sink()
  const encoder = new HpackEncoder()
  for (let sight = 0; sight < 4; sight++) {
    encoder.fieldNeverIndexed(sink, 'x-a', 'secret')
    assert.deepEqual(sink.take(), literal('never', 'x-a', 'secret'))
  }
  encoder.field(sink, 'x-a', 'secret')
  assert.deepEqual(sink.take(), literal('plain', 'x-a', 'secret'))
})
