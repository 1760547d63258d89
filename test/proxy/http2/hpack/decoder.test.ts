// What the decoder takes, refuses and survives: field rules, limits, table sizes, indexes, integers.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  DECODED_BROKEN,
  DECODED_MALFORMED,
  DECODED_OK,
  DECODED_TOO_LARGE,
  HpackDecoder,
} from '../../../../src/proxy/http2/hpack/decoder.js'
import { STATIC_NAMES, STATIC_VALUES } from '../../../../src/proxy/http2/hpack/static-table.js'
import { type Coding, decode, decodeOnce, hex, indexed, type Kind, literal, sizeUpdate } from './blocks.js'

const CODINGS: Coding[] = ['raw', 'huffman']
const KINDS: Kind[] = ['insert', 'plain', 'never']

test('every byte in a name and in a value, raw and Huffman, in every representation, has the answer of RFC 9113 8.2.1 and 9110', () => {
  const token = /^[!#$%&'*+\-.^_`|~0-9a-z]$/
  for (const coding of CODINGS)
    for (const kind of KINDS)
      for (let byte = 0; byte < 256; byte++) {
        const letter = String.fromCharCode(byte)
        const inName = decodeOnce(literal(kind, `x${letter}y`, 'v', coding)).result
        assert.equal(inName, token.test(letter) ? DECODED_OK : DECODED_MALFORMED, `name byte ${byte} ${coding} ${kind}`)
        const control = (byte < 0x20 && byte !== 9) || byte === 0x7f
        const got = decodeOnce(literal(kind, 'x', `a${letter}b`, coding))
        assert.equal(got.result, control ? DECODED_MALFORMED : DECODED_OK, `value byte ${byte} ${coding} ${kind}`)
        if (!control) assert.deepEqual(got.fields, ['x', `a${letter}b`])
      }
})

test('names and values at their edges', () => {
  const rows: [name: string, value: string, expected: number][] = [
    ['', 'v', DECODED_MALFORMED],
    [':', 'v', DECODED_MALFORMED],
    ['::path', 'v', DECODED_MALFORMED],
    [':pa:th', 'v', DECODED_MALFORMED],
    ['path:', 'v', DECODED_MALFORMED],
    [':Path', 'v', DECODED_MALFORMED],
    [':path', '/', DECODED_OK],
    [':anything', 'v', DECODED_OK],
    ['x', '', DECODED_OK],
    ['x', ' ', DECODED_MALFORMED],
    ['x', '\t', DECODED_MALFORMED],
    ['x', ' v', DECODED_MALFORMED],
    ['x', 'v ', DECODED_MALFORMED],
    ['x', '\tv', DECODED_MALFORMED],
    ['x', 'v\t', DECODED_MALFORMED],
    ['x', 'a \tb', DECODED_OK],
    ['x', '\x80\xff', DECODED_OK],
    ['x', 'a:b', DECODED_OK],
  ]
  for (const coding of CODINGS)
    for (const kind of KINDS)
      for (const [name, value, expected] of rows)
        assert.equal(decodeOnce(literal(kind, name, value, coding)).result, expected, JSON.stringify([name, value, coding, kind]))
})

test('an entry keeps its verdict: a bad name or value is bad at every reference, a good name beside a bad value is good', () => {
  const decoder = new HpackDecoder(4096)
  assert.equal(decode(decoder, literal('insert', 'x-a', 'bad\n')).result, DECODED_MALFORMED)
  assert.equal(decoder.problem, 'value of x-a that is not allowed')
  assert.equal(decode(decoder, indexed(62)).result, DECODED_MALFORMED)
  assert.deepEqual(decode(decoder, literal('plain', 62, 'good')), { result: DECODED_OK, fields: ['x-a', 'good'] })
  assert.equal(decode(decoder, literal('insert', 'X-B', 'good')).result, DECODED_MALFORMED)
  assert.equal(decoder.problem, 'field name that is not allowed')
  assert.equal(decode(decoder, literal('plain', 62, 'good')).result, DECODED_MALFORMED)
  assert.equal(decode(decoder, indexed(62)).result, DECODED_MALFORMED)
  assert.deepEqual(decode(decoder, indexed(2)), { result: DECODED_OK, fields: [':method', 'GET'] })
})

test('a field that is kept from an earlier block is judged as before: third sight of a bad and of a good literal', () => {
  for (let sight = 0; sight < 4; sight++) {
    assert.equal(decodeOnce(literal('plain', 'x-kept', 'bad\0', 'huffman')).result, DECODED_MALFORMED)
    assert.equal(decodeOnce(literal('plain', 'Kept', 'x')).result, DECODED_MALFORMED)
    // The same string as a value: an upper-case letter is no harm there.
    assert.deepEqual(decodeOnce(literal('plain', 'x', 'Kept')), { result: DECODED_OK, fields: ['x', 'Kept'] })
  }
})

test('literals that agree in every byte the cache samples stay what they are', () => {
  const decoder = new HpackDecoder(4096)
  for (let round = 0; round < 3; round++)
    for (const coding of CODINGS)
      for (let letter = 97; letter < 123; letter++) {
        const value = `aaa${String.fromCharCode(letter)}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`
        assert.deepEqual(decode(decoder, literal('plain', 'x', value, coding)).fields, ['x', value])
      }
})

test('the static table, by index', () => {
  assert.equal(STATIC_NAMES.length, 62)
  for (let index = 1; index < 62; index++)
    assert.deepEqual(decodeOnce(indexed(index)), { result: DECODED_OK, fields: [STATIC_NAMES[index], STATIC_VALUES[index]] })
  for (const [index, name, value] of [
    [1, ':authority', ''],
    [14, ':status', '500'],
    [16, 'accept-encoding', 'gzip, deflate'],
    [31, 'content-type', ''],
    [61, 'www-authenticate', ''],
  ])
    assert.deepEqual([STATIC_NAMES[Number(index)], STATIC_VALUES[Number(index)]], [name, value])
})

test('broken: index 0, beyond the tables, integers cut off or too large, strings cut off', () => {
  for (const block of [
    indexed(0),
    indexed(62),
    indexed(1000),
    literal('plain', 62, 'v'),
    literal('insert', 99, 'v'),
    hex('ff'),
    hex('ff80'),
    hex('ffffffffffffffff0f'),
    hex('ff8080808080808000'),
    hex('7fffffffffff'),
    hex('00'),
    hex('0001'),
    hex('000161'),
    hex('00016102'),
    hex('0001610261'),
    hex('007fffffffff0f'),
    hex('00017807'),
    hex('000178ffffffffff7f'),
    hex('00 01 61 81 00'),
    hex('00 81 ff 01 61'),
    hex('3f'),
    hex('3fffffffffffff'),
  ]) {
    const decoder = new HpackDecoder(4096)
    assert.equal(decode(decoder, block).result, DECODED_BROKEN, block.toString('hex'))
    assert.notEqual(decoder.problem, '')
  }
})

test('table sizes: up to the announced one, several at the start, none behind a field', () => {
  const field = literal('insert', 'x', 'v')
  assert.equal(decodeOnce(sizeUpdate(4096), field).result, DECODED_OK)
  assert.equal(decodeOnce(sizeUpdate(4097), field).result, DECODED_BROKEN)
  assert.equal(decodeOnce(sizeUpdate(0), sizeUpdate(4096), field).result, DECODED_OK)
  assert.equal(decodeOnce(field, sizeUpdate(0)).result, DECODED_BROKEN)
  assert.equal(decodeOnce(indexed(2), sizeUpdate(4096), field).result, DECODED_BROKEN)
  assert.equal(decodeOnce(sizeUpdate(0)).result, DECODED_OK)
  assert.equal(decode(new HpackDecoder(100), sizeUpdate(100)).result, DECODED_OK)
  assert.equal(decode(new HpackDecoder(100), sizeUpdate(101)).result, DECODED_BROKEN)
  assert.equal(decode(new HpackDecoder(65_536), sizeUpdate(65_536)).result, DECODED_OK)
})

test('a peer that has not seen our smaller table size may use 4096 bytes until it says otherwise', () => {
  const decoder = new HpackDecoder(0)
  assert.equal(decode(decoder, literal('insert', 'x', 'v')).result, DECODED_OK)
  assert.deepEqual(decode(decoder, indexed(62)).fields, ['x', 'v'])
  assert.equal(decode(decoder, Buffer.concat([sizeUpdate(0), indexed(62)])).result, DECODED_BROKEN)
})

test('eviction: an entry goes when the next one needs its 32 + n bytes, and not one byte earlier', () => {
  // Two entries of 32 + 1 + 31 = 64 bytes fill a table of 128.
  const value = (letter: string): string => letter.repeat(31)
  const decoder = new HpackDecoder(4096)
  decode(decoder, Buffer.concat([sizeUpdate(128), literal('insert', 'a', value('a')), literal('insert', 'b', value('b'))]))
  assert.deepEqual(decode(decoder, Buffer.concat([indexed(62), indexed(63)])).fields, ['b', value('b'), 'a', value('a')])
  assert.equal(decode(decoder, indexed(64)).result, DECODED_BROKEN)
  decode(decoder, literal('insert', 'c', ''))
  assert.deepEqual(decode(decoder, Buffer.concat([indexed(62), indexed(63)])).fields, ['c', '', 'b', value('b')])
  assert.equal(decode(decoder, indexed(64)).result, DECODED_BROKEN)
})

test('a field larger than the table empties it; its name may come from an entry it evicts (RFC 7541 4.4)', () => {
  const decoder = new HpackDecoder(4096)
  decode(decoder, literal('insert', 'x-name', 'v'))
  const large = 'l'.repeat(4096)
  assert.deepEqual(decode(decoder, literal('insert', 62, large)), { result: DECODED_OK, fields: ['x-name', large] })
  assert.equal(decode(decoder, indexed(62)).result, DECODED_BROKEN)
  const exact = 'e'.repeat(4096 - 32 - 1)
  assert.equal(decode(decoder, literal('insert', 'x', exact)).result, DECODED_OK)
  assert.deepEqual(decode(decoder, indexed(62)).fields, ['x', exact])
  assert.equal(decode(decoder, literal('insert', 62, `${exact}+`)).result, DECODED_OK)
  assert.equal(decode(decoder, indexed(62)).result, DECODED_BROKEN)
})

test('limits: decoded size and number of fields hold at their edge, and the table goes on behind them', () => {
  for (const kind of KINDS) {
    const block = Buffer.concat([literal(kind, 'ab', 'cd'), literal(kind, 'ef', 'gh'), literal('insert', 'ij', 'kl')])
    const at = (bytes: number, fields: number) => decode(new HpackDecoder(4096), block, bytes, fields)
    assert.deepEqual(at(108, 3), { result: DECODED_OK, fields: ['ab', 'cd', 'ef', 'gh', 'ij', 'kl'] })
    assert.deepEqual(at(107, 3), { result: DECODED_TOO_LARGE, fields: ['ab', 'cd', 'ef', 'gh'] })
    assert.deepEqual(at(71, 3), { result: DECODED_TOO_LARGE, fields: ['ab', 'cd'] })
    assert.deepEqual(at(108, 2), { result: DECODED_TOO_LARGE, fields: ['ab', 'cd', 'ef', 'gh'] })
    assert.deepEqual(at(108, 0), { result: DECODED_TOO_LARGE, fields: [] })
    assert.deepEqual(at(0, 3), { result: DECODED_TOO_LARGE, fields: [] })
    const decoder = new HpackDecoder(4096)
    decode(decoder, block, 40, 3)
    assert.deepEqual(decode(decoder, indexed(62)), { result: DECODED_OK, fields: ['ij', 'kl'] })
  }
})

test('behind a limit a block is still judged: malformed stays malformed, broken stays broken', () => {
  const fill = literal('plain', 'x', 'v'.repeat(100))
  for (const coding of CODINGS)
    for (const kind of KINDS) {
      const bad = Buffer.concat([fill, fill, literal(kind, 'X', 'v', coding)])
      assert.equal(decode(new HpackDecoder(4096), bad, 150).result, DECODED_MALFORMED)
    }
  assert.equal(decode(new HpackDecoder(4096), Buffer.concat([fill, fill, indexed(0)]), 150).result, DECODED_BROKEN)
  assert.equal(decode(new HpackDecoder(4096), Buffer.concat([fill, fill, hex('00016181 00')]), 150).result, DECODED_BROKEN)
})

test('never indexed: the names are told for one block', () => {
  const decoder = new HpackDecoder(4096)
  decode(decoder, Buffer.concat([literal('never', 'x-secret', 's'), literal('plain', 'y', 'v'), literal('never', 'x-other', 's')]))
  assert.deepEqual(decoder.neverIndexed, ['x-secret', 'x-other'])
  decode(decoder, literal('plain', 'y', 'v'))
  assert.deepEqual(decoder.neverIndexed, [])
})

test('an HPACK bomb costs what reading it costs: 4 KiB referenced 10 000 times, 100 blocks of it', () => {
  const decoder = new HpackDecoder(4096)
  decode(decoder, literal('insert', 'x', 'b'.repeat(4096 - 33)))
  const bomb = Buffer.alloc(10_000, 0xbe)
  for (let block = 0; block < 5; block++) decode(decoder, bomb, 16_384, 100)
  const heapBefore = process.memoryUsage().heapUsed
  const cpuBefore = process.cpuUsage()
  for (let block = 0; block < 100; block++) {
    const { result, fields } = decode(decoder, bomb, 16_384, 100)
    assert.equal(result, DECODED_TOO_LARGE)
    assert.equal(fields.length, 8)
  }
  const cpu = process.cpuUsage(cpuBefore)
  // A million references, decoded 4 GB: measured 27 ms.
  assert.ok(cpu.user + cpu.system < 1_000_000, `${cpu.user + cpu.system} µs`)
  assert.ok(process.memoryUsage().heapUsed - heapBefore < 8 * 1024 * 1024)
})

test('a block inside a larger buffer is read from start to end and no further', () => {
  const block = Buffer.concat([indexed(2), literal('plain', 'x', 'v')])
  const around = Buffer.concat([Buffer.alloc(7, 0x80), block, Buffer.alloc(9, 0x61)])
  const fields: string[] = []
  assert.equal(new HpackDecoder(4096).decode(around, 7, 7 + block.length, fields, 1000, 10), DECODED_OK)
  assert.deepEqual(fields, [':method', 'GET', 'x', 'v'])
  assert.equal(new HpackDecoder(4096).decode(around, 7, 7 + block.length - 1, [], 1000, 10), DECODED_BROKEN)
})
