// Which answers are compressed, and how that is told.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { acceptedCoding, compressedFields, isCompressible } from '../../src/core/content-coding.js'

for (const [accept, coding] of [
  [['gzip'], 'gzip'],
  [['gzip, deflate, br'], 'br'],
  [['br;q=0.5, gzip'], 'gzip'],
  [['br;q=0, gzip;q=0.1'], 'gzip'],
  [['gzip;q=0'], null],
  [['*'], 'br'],
  [['*;q=0.5, br;q=0'], 'gzip'],
  [['identity'], null],
  [['GZIP'], 'gzip'],
  [['deflate', 'gzip'], 'gzip'],
  [['gzip;q=nonsense'], 'gzip'],
  [[], null],
] as const) {
  test(`accept-encoding ${JSON.stringify(accept)} is ${coding}`, () => {
    assert.equal(acceptedCoding(accept.flatMap(value => ['accept-encoding', value])), coding)
  })
}

const spec = { types: ['text/*', 'application/json'], minBytes: 256 }
for (const [title, status, fields, wanted] of [
  ['text of unknown length', 200, ['content-type', 'text/html; charset=utf-8'], true],
  ['a type that is named', 200, ['content-type', 'Application/JSON'], true],
  ['just long enough', 200, ['content-type', 'text/css', 'content-length', '256'], true],
  ['too short', 200, ['content-type', 'text/css', 'content-length', '255'], false],
  ['a type that is not named', 200, ['content-type', 'image/png'], false],
  ['no type', 200, [], false],
  ['compressed already', 200, ['content-type', 'text/css', 'content-encoding', 'gzip'], false],
  ['not to be touched', 200, ['content-type', 'text/css', 'cache-control', 'public, no-transform'], false],
  ['a part of it', 206, ['content-type', 'text/css'], false],
  ['no content', 204, ['content-type', 'text/css'], false],
  ['an error page', 404, ['content-type', 'text/html'], true],
] as const) {
  test(`${title}: ${wanted ? 'compressed' : 'as it is'}`, () => assert.equal(isCompressible(status, [...fields], spec), wanted))
}

test('gRPC is never compressed by us, whatever is configured', () => {
  const greedy = { types: ['application/*', 'application/grpc'], minBytes: 0 }
  for (const type of ['application/grpc', 'application/grpc+proto', 'application/grpc-web'])
    assert.equal(isCompressible(200, ['content-type', type], greedy), false)
})

test('a compressed answer has another length, a weak tag, and says what it depends on', () => {
  assert.deepEqual(compressedFields(['content-length', '900', 'etag', '"a"', 'x', '1', 'accept-ranges', 'bytes'], 'gzip'), [
    'etag',
    'W/"a"',
    'x',
    '1',
    'content-encoding',
    'gzip',
    'vary',
    'Accept-Encoding',
  ])
})
