// Huffman strings: every letter, every length of padding, and what is no string.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BYTE_CLASS } from '../../../../src/proxy/http2/hpack/field-rules.js'
import { CODE_LENGTHS, CODE_WORDS, HuffmanDecoder } from '../../../../src/proxy/http2/hpack/huffman.js'
import { dice, fromBits, huffman } from './blocks.js'

const decoder = new HuffmanDecoder()
const decoded = (bytes: Buffer): Buffer | null => {
  const length = decoder.decode(bytes, 0, bytes.length)
  return length < 0 ? null : Buffer.from(decoder.text.subarray(0, length))
}
const bitsOf = (symbol: number): string => CODE_WORDS[symbol]!.toString(2).padStart(CODE_LENGTHS[symbol]!, '0')

test('the code is complete: its words fill the whole space of 30 bits once', () => {
  assert.equal(
    CODE_LENGTHS.reduce((sum, length) => sum + 2 ** (30 - length), 0),
    2 ** 30,
  )
  assert.equal(CODE_WORDS[256], 0x3fffffff)
})

test('every byte 0-255 goes there and back: alone, after any other, and four in a row', () => {
  for (let first = 0; first < 256; first++) {
    for (const text of [[first], [first, first, first, first]]) assert.deepEqual(decoded(huffman(Buffer.from(text))), Buffer.from(text))
    for (let second = 0; second < 256; second++) {
      const pair = Buffer.from([first, second])
      const back = decoded(huffman(pair))
      if (back === null || !back.equals(pair)) assert.fail(`${first}, ${second} came back as ${back?.toString('hex')}`)
    }
  }
})

test('random strings of every length to 300 go there and back, and their classes are those of their letters', () => {
  const random = dice(7541)
  for (let round = 0; round < 3000; round++) {
    const text = Buffer.alloc(Math.floor(random() * 300))
    const alphabet = round % 3 === 0 ? 256 : round % 3 === 1 ? 95 : 26
    const from = [0, 32, 97][round % 3]!
    for (let place = 0; place < text.length; place++) text[place] = from + Math.floor(random() * alphabet)
    assert.deepEqual(decoded(huffman(text)), text)
    assert.equal(
      decoder.classes,
      text.reduce((classes, byte) => classes | BYTE_CLASS[byte]!, 0),
    )
  }
})

test('padding is up to seven ones: a zero in it, eight ones or a cut word are refused', () => {
  for (let symbol = 0; symbol < 256; symbol++) {
    for (let ahead = 0; ahead < 8; ahead++) {
      // Eight `0` of five bits and so on move the end of the word through all places of a byte.
      const word = bitsOf(48).repeat(ahead) + bitsOf(symbol)
      const missing = (8 - (word.length % 8)) % 8
      assert.notEqual(decoded(fromBits(word + '1'.repeat(missing))), null)
      assert.equal(decoded(fromBits(word + '1'.repeat(missing + 8))), null, `${symbol}: more than seven ones`)
      if (missing > 0) assert.equal(endsIn(word, missing), false, `${symbol}: padding with zeros`)
    }
  }
})

/** Is zero padding taken for padding?  Zeros may be letters of their own: `0` is five of them. */
function endsIn(word: string, missing: number): boolean {
  const whole = decoded(fromBits(word + '0'.repeat(missing)))
  const letters = whole === null ? '' : [...whole].map(bitsOf).join('')
  return whole !== null && letters === word
}

test('the end-of-string symbol and every word cut short is refused', () => {
  assert.equal(decoded(fromBits(`${bitsOf(256)}11`)), null)
  assert.equal(decoded(fromBits(`${bitsOf(97)}${bitsOf(256)}11111`)), null)
  for (let symbol = 0; symbol < 256; symbol++) {
    const word = bitsOf(symbol)
    for (let kept = 8; kept < word.length; kept += 8)
      assert.equal(decoded(fromBits(word.slice(0, kept))), null, `${symbol} cut to ${kept} bits`)
  }
})

test('one string that is longer than the kept buffer leaves no large buffer behind', () => {
  const long = Buffer.alloc(100_000, 'a')
  assert.deepEqual(decoded(huffman(long)), long)
  assert.deepEqual(decoded(huffman(Buffer.from('short'))), Buffer.from('short'))
  assert.ok(decoder.text.length <= 16_384)
})
