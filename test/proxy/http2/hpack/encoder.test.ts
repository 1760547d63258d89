// What the encoder indexes, what it never does, and when it tells table sizes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HpackDecoder } from '../../../../src/proxy/http2/hpack/decoder.js'
import { HpackEncoder } from '../../../../src/proxy/http2/hpack/encoder.js'
import { decode, hex, indexed, literal, Sink, sizeUpdate } from './blocks.js'

const sink = new Sink()
function block(encoder: HpackEncoder, ...fields: string[]): Buffer {
  encoder.begin(sink)
  for (let place = 0; place < fields.length; place += 2) encoder.field(sink, fields[place]!, fields[place + 1]!)
  return sink.take()
}

test('a field of the static table is one byte', () => {
  const encoder = new HpackEncoder()
  for (const [name, value, index] of [
    [':method', 'GET', 2],
    [':method', 'POST', 3],
    [':path', '/', 4],
    [':scheme', 'https', 7],
    [':status', '200', 8],
    [':status', '500', 14],
    ['accept-encoding', 'gzip, deflate', 16],
    ['accept', '', 19],
  ] as const)
    assert.deepEqual(block(encoder, name, value), indexed(index))
})

test('a value is a literal at its first sight, goes into the table at its second, and is an index from then on', () => {
  const encoder = new HpackEncoder()
  assert.deepEqual(block(encoder, 'te', 'trailers'), literal('plain', 'te', 'trailers'))
  assert.deepEqual(block(encoder, 'te', 'trailers'), literal('insert', 'te', 'trailers'))
  assert.deepEqual(block(encoder, 'te', 'trailers'), indexed(62))
  // The name of an entry serves other values, a static name comes first.
  assert.deepEqual(block(encoder, 'te', 'other'), literal('plain', 62, 'other'))
  for (const expected of [literal('plain', 31, 'text/html'), literal('insert', 31, 'text/html'), indexed(62)])
    assert.deepEqual(block(encoder, 'content-type', 'text/html'), expected)
  assert.deepEqual(block(encoder, 'te', 'trailers'), indexed(63))
})

test('values that come once push nothing out: 10 000 request ids beside a repeated field', () => {
  const encoder = new HpackEncoder()
  for (let sight = 0; sight < 2; sight++) block(encoder, 'x-kept', 'value')
  for (let id = 0; id < 10_000; id++) block(encoder, 'x-own-id', `id-${id}-of-this-call`)
  assert.deepEqual(block(encoder, 'x-kept', 'value'), indexed(62))
})

test('one-off names and paths with a query are never indexed, however often they come', () => {
  for (const [name, index, value] of [
    ['content-length', 28, '20'],
    ['date', 33, 'Sun, 22 Nov 2026 03:08:00 GMT'],
    ['etag', 34, '"1"'],
    ['set-cookie', 55, 'a=b'],
    ['x-request-id', 'x-request-id', 'abc'],
    ['traceparent', 'traceparent', '00-1-2-01'],
    ['grpc-timeout', 'grpc-timeout', '1S'],
    [':path', 4, '/search?q=1'],
  ] as const) {
    const encoder = new HpackEncoder()
    for (let sight = 0; sight < 4; sight++) assert.deepEqual(block(encoder, name, value), literal('plain', index, value))
  }
})

test('secrets are marked never indexed: credentials, and cookies of fewer than 20 bytes (RFC 7541 7.1.3)', () => {
  const encoder = new HpackEncoder()
  for (let sight = 0; sight < 3; sight++) {
    assert.deepEqual(block(encoder, 'authorization', 'Bearer x'), literal('never', 23, 'Bearer x'))
    assert.deepEqual(block(encoder, 'proxy-authorization', 'Basic x'), literal('never', 49, 'Basic x'))
    assert.deepEqual(block(encoder, 'x-api-key', 'k'), literal('never', 'x-api-key', 'k'))
    assert.deepEqual(block(encoder, 'cookie', 'c'.repeat(19)), literal('never', 32, 'c'.repeat(19)))
    assert.deepEqual(block(encoder, 'cookie', 'c'.repeat(20)), literal('plain', 32, 'c'.repeat(20)))
  }
  encoder.begin(sink)
  encoder.fieldNeverIndexed(sink, 'x-private', 'v')
  assert.deepEqual(sink.take(), literal('never', 'x-private', 'v'))
})

test('a value of more than a quarter of the table is not indexed', () => {
  const most = 'v'.repeat(1024 - 32 - 1)
  for (const [value, third] of [
    [most, indexed(62)],
    [`${most}v`, literal('plain', 'x', `${most}v`)],
  ] as const) {
    const encoder = new HpackEncoder()
    block(encoder, 'x', value)
    block(encoder, 'x', value)
    assert.deepEqual(block(encoder, 'x', value), third)
  }
})

test('table sizes: lowered is told, raised again is told twice, above our cap and unchanged are not told', () => {
  const rows: [settings: number[], told: Buffer][] = [
    [[4096], hex('')],
    [[65_536], hex('')],
    [[100], sizeUpdate(100)],
    [[0], sizeUpdate(0)],
    [[0, 4096], Buffer.concat([sizeUpdate(0), sizeUpdate(4096)])],
    [[500, 100, 1000], Buffer.concat([sizeUpdate(100), sizeUpdate(1000)])],
    [[100, 4_294_967_295], Buffer.concat([sizeUpdate(100), sizeUpdate(4096)])],
    [[8192, 4096], hex('')],
  ]
  for (const [settings, told] of rows) {
    const encoder = new HpackEncoder()
    for (const bytes of settings) encoder.peerTableBytes(bytes)
    assert.deepEqual(block(encoder, ':method', 'GET'), Buffer.concat([told, indexed(2)]), String(settings))
    assert.deepEqual(block(encoder, ':method', 'GET'), indexed(2), 'told once')
  }
})

test('a lowered table loses its entries, and a peer that wants none gets none', () => {
  const encoder = new HpackEncoder()
  block(encoder, 'x', 'v')
  block(encoder, 'x', 'v')
  assert.deepEqual(block(encoder, 'x', 'v'), indexed(62))
  encoder.peerTableBytes(0)
  assert.deepEqual(block(encoder, 'x', 'v'), Buffer.concat([sizeUpdate(0), literal('plain', 'x', 'v')]))
  for (let sight = 0; sight < 3; sight++) assert.deepEqual(block(encoder, 'x', 'v'), literal('plain', 'x', 'v'))
  encoder.peerTableBytes(4096)
  block(encoder, 'x', 'v')
  block(encoder, 'x', 'v')
  assert.deepEqual(block(encoder, 'x', 'v'), indexed(62))
})

test('a char beyond latin1 goes as a question mark, never as its low byte: U+010D would be a CR', () => {
  for (const length of [1, 23, 24, 25, 200]) {
    const value = `${'a'.repeat(length - 1)}\u010d`
    const { fields } = decode(new HpackDecoder(4096), block(new HpackEncoder(), 'x', value, 'y', `\u010a${'\u00ff'.repeat(length)}\u0100`))
    assert.deepEqual(fields, ['x', `${'a'.repeat(length - 1)}?`, 'y', `?${'\u00ff'.repeat(length)}?`])
  }
})

test('strings of every length to 700 and a few long ones come back', () => {
  const lengths = [...Array(700).keys(), 16_383, 16_384, 16_511, 65_536]
  for (const length of lengths) {
    const value = '\u00e9'.repeat(length)
    assert.deepEqual(decode(new HpackDecoder(4096), block(new HpackEncoder(), 'x', value)).fields, ['x', value])
  }
})

test('many values of one name and many names keep encoder and decoder in step, and no record behind', () => {
  const encoder = new HpackEncoder()
  const decoder = new HpackDecoder(4096)
  for (let round = 0; round < 5000; round++) {
    const fields = ['x-many', `value-${round % 150}`, `x-name-${round % 170}`, 'v', `x-once-${round}`, 'v', 'x-many', `value-${round % 7}`]
    assert.deepEqual(decode(decoder, block(encoder, ...fields)), { result: 0, fields })
  }
  const { byName } = (encoder as unknown as { table: { byName: Map<string, unknown> } }).table
  assert.ok(byName.size <= 128, `${byName.size} names`)
})
