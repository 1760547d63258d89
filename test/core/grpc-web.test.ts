// gRPC-Web: types there and back, trailers as a frame, what browsers ask first.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isGrpcContentType } from '../../src/core/grpc.js'
import { isWebPreflight, webAnswerFields, webPreflightFields, webTrailerFrame, webType } from '../../src/core/grpc-web.js'

describe('webType', () => {
  for (const [type, form, grpc, answer] of [
    ['application/grpc-web', 'binary', 'application/grpc', 'application/grpc-web+proto'],
    ['application/grpc-web+proto', 'binary', 'application/grpc+proto', 'application/grpc-web+proto'],
    ['application/grpc-web+json', 'binary', 'application/grpc+json', 'application/grpc-web+json'],
    ['application/grpc-web-text', 'text', 'application/grpc', 'application/grpc-web-text+proto'],
    ['Application/grpc-web-text+proto; charset=x', 'text', 'application/grpc+proto', 'application/grpc-web-text+proto'],
  ] as const) {
    it(`${type} is ${grpc} to the service`, () => {
      assert.deepEqual(webType(type), { form, grpc, answer })
      assert.ok(isGrpcContentType(grpc) && !isGrpcContentType(type))
    })
  }
  for (const type of [
    undefined,
    '',
    'application/grpc',
    'application/grpc+proto',
    'application/grpc-webby',
    'text/grpc-web',
    'application/grpc-web-textual',
  ]) {
    it(`${type} is none`, () => assert.equal(webType(type), null))
  }
})

describe('webTrailerFrame', () => {
  it('is flag, length and lines', () => {
    const frame = Buffer.from(webTrailerFrame(['grpc-status', '0', 'grpc-message', 'ok', 'x-bin', 'é']))
    const text = 'grpc-status: 0\r\ngrpc-message: ok\r\nx-bin: é\r\n'
    assert.equal(frame[0], 0x80)
    assert.equal(frame.readUInt32BE(1), text.length)
    assert.equal(frame.toString('latin1', 5), text)
  })
  it('no trailers are an empty frame', () => assert.deepEqual([...webTrailerFrame([])], [0x80, 0, 0, 0, 0]))
})

describe('other origins', () => {
  const asked = ['origin', 'http://x', 'access-control-request-method', 'POST', 'access-control-request-headers', 'content-type,X-Grpc-Web']
  it('a preflight is known by its method and the fields it asks for', () => {
    assert.ok(isWebPreflight('OPTIONS', asked))
    assert.ok(!isWebPreflight('POST', asked))
    assert.ok(!isWebPreflight('OPTIONS', asked.slice(0, 4)))
    assert.ok(!isWebPreflight('OPTIONS', [...asked.slice(0, 5), 'content-type, x-custom']))
    assert.ok(!isWebPreflight('OPTIONS', ['access-control-request-method', 'PUT', ...asked.slice(4)]))
  })
  it('it is granted what it asks for, to any origin, without cookies', () => {
    const fields = webPreflightFields(asked)
    assert.deepEqual(fields.slice(0, 6), [
      'access-control-allow-origin',
      '*',
      'access-control-allow-methods',
      'POST, OPTIONS',
      'access-control-allow-headers',
      'content-type,X-Grpc-Web',
    ])
    assert.ok(!fields.includes('access-control-allow-credentials'))
  })
  it('an answer shows its metadata to scripts; nothing is added for callers without an origin', () => {
    assert.deepEqual(webAnswerFields(asked, ['content-type', 'x', 'x-own', '1', 'x-own', '2']), [
      'access-control-allow-origin',
      '*',
      'access-control-expose-headers',
      'x-own, grpc-status, grpc-message',
    ])
    assert.deepEqual(webAnswerFields([], ['x-own', '1']), [])
  })
})
