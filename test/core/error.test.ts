// The proxy's conditions and their answers are those of rule 14; every row is usable.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AppError, ERRORS, type ErrorCode } from '../../src/core/error.js'
import { GRPC } from '../../src/core/grpc.js'

describe('the conditions of rule 14', () => {
  const rows: [condition: string, code: ErrorCode, http: number, grpc: number][] = [
    ['unknown prefix', 'ROUTE_UNKNOWN', 404, GRPC.UNIMPLEMENTED],
    ['no healthy instance', 'UPSTREAM_NONE_READY', 503, GRPC.UNAVAILABLE],
    ['connection refused, connect timeout', 'UPSTREAM_UNREACHABLE', 503, GRPC.UNAVAILABLE],
    ['connection lost after the request was sent', 'UPSTREAM_BROKEN', 502, GRPC.UNAVAILABLE],
    ['response timeout', 'UPSTREAM_TIMEOUT', 504, GRPC.UNAVAILABLE],
    ['the deadline passed', 'DEADLINE_PASSED', 504, GRPC.DEADLINE_EXCEEDED],
    ['the route’s limit passed', 'TIME_LIMIT_PASSED', 504, GRPC.DEADLINE_EXCEEDED],
    ['rate limited', 'RATE_LIMITED', 429, GRPC.RESOURCE_EXHAUSTED],
    ['denied address', 'ACCESS_DENIED', 403, GRPC.PERMISSION_DENIED],
    ['no credentials', 'CREDENTIALS_MISSING', 401, GRPC.UNAUTHENTICATED],
    ['bad credentials', 'CREDENTIALS_WRONG', 401, GRPC.UNAUTHENTICATED],
    ['header too large', 'REQUEST_HEAD_TOO_LARGE', 431, GRPC.RESOURCE_EXHAUSTED],
    ['message over the limit', 'REQUEST_BODY_TOO_LARGE', 413, GRPC.RESOURCE_EXHAUSTED],
    ['shutting down', 'PROXY_DRAINING', 503, GRPC.UNAVAILABLE],
    ['protocol error from upstream', 'UPSTREAM_PROTOCOL', 502, GRPC.INTERNAL],
  ]
  for (const [condition, code, http, grpc] of rows) {
    it(`${condition}: ${http}, gRPC ${grpc}`, () => assert.deepEqual([ERRORS[code].http, ERRORS[code].grpc], [http, grpc]))
  }
})

describe('every row', () => {
  for (const [code, row] of Object.entries(ERRORS)) {
    it(`${code} has statuses that exist and a hint without a full stop`, () => {
      assert.match(code, /^[A-Z]+(?:_[A-Z]+)*$/)
      assert.ok(row.http >= 400 && row.http <= 599 && row.grpc >= 1 && row.grpc <= 16 && row.exit <= 7)
      assert.match(row.hint, /^[`a-z].*[^.]$/)
    })
  }
  it('is what an AppError of its code shows', () => assert.equal(new AppError('RATE_LIMITED', 'x').row, ERRORS.RATE_LIMITED))
})
