// gRPC's small rules: content type, status tables, message escapes, deadlines.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  encodeGrpcMessage,
  formatGrpcTimeout,
  grpcFromHttp,
  grpcFromReset,
  isGrpcContentType,
  parseGrpcTimeout,
} from '../../src/core/grpc.js'

describe('content type', () => {
  for (const [value, is] of [
    ['application/grpc', true],
    ['application/grpc+proto', true],
    ['application/grpc;charset=x', true],
    ['Application/GRPC', true],
    ['application/grpc-web', false],
    ['application/grpc-web+proto', false],
    ['application/grpcx', false],
    ['text/plain', false],
    ['', false],
    [undefined, false],
  ] as const) {
    it(`${value} ${is ? 'is' : 'is not'} gRPC`, () => assert.equal(isGrpcContentType(value), is))
  }
})

describe('statuses', () => {
  it('HTTP to gRPC is the table of http-grpc-status-mapping.md', () => {
    const table: [number, number][] = [
      [400, 13],
      [401, 16],
      [403, 7],
      [404, 12],
      [429, 14],
      [431, 13],
      [502, 14],
      [503, 14],
      [504, 14],
      [200, 2],
      [418, 2],
      [500, 2],
    ]
    for (const [http, grpc] of table) assert.equal(grpcFromHttp(http), grpc, `${http}`)
  })
  it('RST_STREAM to gRPC is the table of PROTOCOL-HTTP2.md', () => {
    const table = [13, 13, 13, 13, 13, 13, 13, 14, 1, 13, 13, 8, 7, 13]
    assert.deepEqual(
      table.map((_, code) => grpcFromReset(code)),
      table,
    )
  })
})

describe('grpc-message', () => {
  for (const [text, encoded] of [
    ['plain words: !"#$&~', 'plain words: !"#$&~'],
    ['100%', '100%25'],
    ['\t\n\r', '%09%0A%0D'],
    ['é', '%C3%A9'],
    ['☺', '%E2%98%BA'],
    ['😈', '%F0%9F%98%88'],
    ['\x7f', '%7F'],
    ['a\ud800b', 'a%EF%BF%BDb'],
    ['', ''],
  ] as const) {
    it(`${JSON.stringify(text)} is ${encoded}, which decodes to it`, () => {
      assert.equal(encodeGrpcMessage(text), encoded)
      assert.equal(decodeURIComponent(encoded), text.replace('\ud800', '\ufffd'))
    })
  }
})

describe('grpc-timeout', () => {
  for (const [text, ms] of [
    ['1H', 3_600_000],
    ['2M', 120_000],
    ['3S', 3000],
    ['4m', 4],
    ['5000u', 5],
    ['6000000n', 6],
    ['99999999H', 99_999_999 * 3_600_000],
    ['0m', 0],
    ['1', null],
    ['123456789S', null],
    ['-1S', null],
    ['1.5S', null],
    ['1s', null],
    ['S', null],
    ['', null],
    [undefined, null],
  ] as const) {
    it(`${text} is ${ms} ms`, () => {
      const got = parseGrpcTimeout(text)
      assert.ok(ms === null ? got === null : Math.abs(got! - ms) < 1e-6, `${got}`)
    })
  }

  for (const [ms, text] of [
    [0, '0n'],
    [0.5, '500000n'],
    [99.999_999, '99999999n'],
    [100, '100000u'],
    [3, '3000000n'],
    [4999.9, '4999900u'],
    [99_999.999, '99999999u'],
    [100_000, '100000m'],
    [99_999_999, '99999999m'],
    [100_000_000, '100000S'],
    [1e12, '16666666M'],
    [1e15, '99999999H'],
  ] as const) {
    it(`${ms} ms is written ${text}, and never reads longer`, () => {
      assert.equal(formatGrpcTimeout(ms), text)
      assert.ok(parseGrpcTimeout(text)! <= ms + 1e-9)
    })
  }
})
