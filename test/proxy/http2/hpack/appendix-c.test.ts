// The worked examples of RFC 7541 Appendix C, byte for byte.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HpackDecoder } from '../../../../src/proxy/http2/hpack/decoder.js'
import { IntegerReader } from '../../../../src/proxy/http2/hpack/integers.js'
import { decode, decodeOnce, hex, huffman, integer, sizeUpdate } from './blocks.js'

test('C.1 integers: 10 and 1337 in five bits, 42 in eight', () => {
  for (const [value, prefixMax, bytes] of [
    [10, 31, '0a'],
    [1337, 31, '1f9a0a'],
    [42, 255, '2a'],
  ] as const) {
    assert.equal(integer(0, prefixMax, value).toString('hex'), bytes)
    const block = hex(bytes)
    const reader = new IntegerReader()
    assert.equal(block[0] === prefixMax ? reader.rest(block, 1, block.length, prefixMax) : block[0], value)
  }
})

test('C.2 one field in each representation', () => {
  assert.deepEqual(decodeOnce(hex('400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572')), {
    result: 0,
    fields: ['custom-key', 'custom-header'],
  })
  assert.deepEqual(decodeOnce(hex('040c 2f73 616d 706c 652f 7061 7468')), { result: 0, fields: [':path', '/sample/path'] })
  assert.deepEqual(decodeOnce(hex('1008 7061 7373 776f 7264 0673 6563 7265 74')), { result: 0, fields: ['password', 'secret'] })
  assert.deepEqual(decodeOnce(hex('82')), { result: 0, fields: [':method', 'GET'] })
})

const authority = [':authority', 'www.example.com']
const requests = [
  [':method', 'GET', ':scheme', 'http', ':path', '/', ...authority],
  [':method', 'GET', ':scheme', 'http', ':path', '/', ...authority, 'cache-control', 'no-cache'],
  [':method', 'GET', ':scheme', 'https', ':path', '/index.html', ...authority, 'custom-key', 'custom-value'],
]
const at21 = 'Mon, 21 Oct 2013 20:13:21 GMT'
const at22 = 'Mon, 21 Oct 2013 20:13:22 GMT'
const place = ['location', 'https://www.example.com']
const cookie = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'
const responses = [
  [':status', '302', 'cache-control', 'private', 'date', at21, ...place],
  [':status', '307', 'cache-control', 'private', 'date', at21, ...place],
  [':status', '200', 'cache-control', 'private', 'date', at22, ...place, 'content-encoding', 'gzip', 'set-cookie', cookie],
]

const sequences: [title: string, tableBytes: number, expected: string[][], blocks: string[]][] = [
  [
    'C.3 requests, raw',
    4096,
    requests,
    [
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '8286 84be 5808 6e6f 2d63 6163 6865',
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
    ],
  ],
  [
    'C.4 requests, Huffman',
    4096,
    requests,
    [
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      '8286 84be 5886 a8eb 1064 9cbf',
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
    ],
  ],
  [
    'C.5 responses, raw, a table of 256 bytes',
    256,
    responses,
    [
      `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073
       3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
      '4803 3330 37c1 c0bf',
      `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48
       514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
    ],
  ],
  [
    'C.6 responses, Huffman, a table of 256 bytes',
    256,
    responses,
    [
      `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae
       43d3`,
      '4883 640e ffc1 c0bf',
      `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af
       2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
    ],
  ],
]

for (const [title, tableBytes, expected, blocks] of sequences) {
  test(`${title}: three blocks on one table`, () => {
    const decoder = new HpackDecoder(4096)
    decode(decoder, sizeUpdate(tableBytes))
    for (const [number, block] of blocks.entries()) assert.deepEqual(decode(decoder, hex(block)), { result: 0, fields: expected[number] })
  })
}

test('the Huffman words of the appendix are those of our code', () => {
  for (const [text, bytes] of [
    ['www.example.com', 'f1e3c2e5f23a6ba0ab90f4ff'],
    ['no-cache', 'a8eb10649cbf'],
    [at21, 'd07abe941054d444a8200595040b8166e082a62d1bff'],
    [cookie, '94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007'],
  ] as const)
    assert.equal(huffman(Buffer.from(text)).toString('hex'), bytes)
})
