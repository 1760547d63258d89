// The header passes, one rule at a time and all together.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  type Fields,
  fieldListHas,
  fieldValue,
  fieldValues,
  listWords,
  type RequestContext,
  requestFields,
  responseFields,
  trailerFields,
} from '../../src/core/headers.js'

const CONTEXT: RequestContext = {
  to: 'h2c',
  client: '1.2.3.4',
  scheme: 'http',
  authority: 'h:1',
  requestId: 'id',
  grpc: false,
  acceptsTrailers: false,
  deadlineLeftMs: null,
}
/** What every request gets when it brings none of them. */
const ADDED = ['x-forwarded-for', '1.2.3.4', 'x-forwarded-proto', 'http', 'x-forwarded-host', 'h:1', 'x-request-id', 'id']

describe('requestFields', () => {
  const rows: [string, Fields, Partial<RequestContext>, Fields][] = [
    ['nothing becomes what is added', [], {}, ADDED],
    ['own fields keep order and number', ['b', '1', 'a', '2', 'b', '3'], {}, ['b', '1', 'a', '2', 'b', '3', ...ADDED]],
    [
      'hop-by-hop fields go',
      [
        'connection',
        'close',
        'keep-alive',
        '5',
        'proxy-connection',
        'x',
        'transfer-encoding',
        'chunked',
        'upgrade',
        'h2c',
        'proxy-authorization',
        'x',
        'http2-settings',
        'x',
        'te',
        'gzip',
        'trailer',
        'x',
        'a',
        '1',
      ],
      {},
      ['a', '1', ...ADDED],
    ],
    [
      'nominated fields go, whatever their case',
      ['connection', 'X-Secret, , close', 'x-secret', '1', 'connection', 'x-two', 'x-two', '2', 'a', '1'],
      {},
      ['a', '1', ...ADDED],
    ],
    ['te is trailers where the client said so', ['te', 'trailers, gzip'], { acceptsTrailers: true }, ['te', 'trailers', ...ADDED]],
    ['te is trailers for gRPC even where a hop lost it', [], { grpc: true }, ['te', 'trailers', ...ADDED]],
    ['cookies stay apart for h2c', ['cookie', 'a', 'cookie', 'b'], {}, ['cookie', 'a', 'cookie', 'b', ...ADDED]],
    ['cookies are joined for http1', ['cookie', 'a', 'x', '1', 'cookie', 'b'], { to: 'http1' }, ['x', '1', 'cookie', 'a; b', ...ADDED]],
    [
      'earlier proxies keep their word',
      [
        'x-forwarded-for',
        '9.9.9.9',
        'x-forwarded-for',
        '8.8.8.8',
        'x-forwarded-proto',
        'https',
        'x-forwarded-host',
        'o',
        'x-request-id',
        'r',
      ],
      {},
      ['x-forwarded-proto', 'https', 'x-forwarded-host', 'o', 'x-request-id', 'r', 'x-forwarded-for', '9.9.9.9, 8.8.8.8, 1.2.3.4'],
    ],
    ['a deadline is what is left of it', ['grpc-timeout', '1S'], { deadlineLeftMs: 500 }, [...ADDED, 'grpc-timeout', '500000u']],
    [
      'of a request that names nobody no host is told',
      [],
      { authority: '' },
      ['x-forwarded-for', '1.2.3.4', 'x-forwarded-proto', 'http', 'x-request-id', 'id'],
    ],
    ['a malformed deadline goes through', ['grpc-timeout', '1'], {}, ['grpc-timeout', '1', ...ADDED]],
  ]
  for (const [title, fields, change, expected] of rows) {
    it(title, () => assert.deepEqual(requestFields(fields, { ...CONTEXT, ...change }), expected))
  }
  const element = 'for=1.2.3.4;host="h:1";proto=http'
  const said = [
    'forwarded',
    'for=8.8.8.8',
    'x-forwarded-for',
    '9.9.9.9',
    'x-forwarded-proto',
    'https',
    'forwarded',
    'for=7.7.7.7',
    'a',
    '1',
  ]
  const more: [string, Fields, Partial<RequestContext>, Fields][] = [
    ['Forwarded is not ours to write by default, and does not go on', ['forwarded', 'for=6.6.6.6', 'a', '1'], {}, ['a', '1', ...ADDED]],
    [
      'with `forwarded` it is one list, and X-Forwarded-* do not go on',
      [...said, 'x-forwarded-host', 'o'],
      { forwarded: 'forwarded' },
      ['a', '1', 'forwarded', `for=8.8.8.8, for=7.7.7.7, ${element}`, 'x-request-id', 'id'],
    ],
    [
      'with `both` both tell',
      said,
      { forwarded: 'both' },
      [
        ...['x-forwarded-proto', 'https', 'a', '1', 'x-forwarded-for', '9.9.9.9, 1.2.3.4', 'x-forwarded-host', 'h:1'],
        ...['forwarded', `for=8.8.8.8, for=7.7.7.7, ${element}`, 'x-request-id', 'id'],
      ],
    ],
    [
      'trace context and baggage are nobody’s business here',
      ['traceparent', '00-a-b-01', 'tracestate', 'x=1', 'baggage', 'k=v'],
      {},
      ['traceparent', '00-a-b-01', 'tracestate', 'x=1', 'baggage', 'k=v', ...ADDED],
    ],
    ['credentials go on', ['authorization', 'Bearer x'], {}, ['authorization', 'Bearer x', ...ADDED]],
    ['unless the proxy took them', ['authorization', 'Bearer x', 'a', '1'], { authorization: 'taken' }, ['a', '1', ...ADDED]],
    [
      'what Connection nominates goes, also what the proxy then says itself',
      ['x-forwarded-for', '6.6.6.6', 'x-request-id', 'mine', 'cookie', 'c', 'connection', 'x-forwarded-for, X-Request-Id, cookie'],
      {},
      ADDED,
    ],
    [
      'Connection: keep-alive, a nomination before the field, and two Connection fields',
      ['x-a', '1', 'connection', 'keep-alive', 'connection', 'x-a', 'b', '2'],
      {},
      ['b', '2', ...ADDED],
    ],
    [
      'three crumbs are joined at the end, in order',
      ['cookie', 'a', 'x', '1', 'cookie', 'b', 'cookie', 'c'],
      { to: 'http1' },
      ['x', '1', 'cookie', 'a; b; c', ...ADDED],
    ],
    ['one cookie stays where it is', ['cookie', 'a', 'x', '1'], { to: 'http1' }, ['cookie', 'a', 'x', '1', ...ADDED]],
    ['an empty X-Forwarded-For is an entry too', ['x-forwarded-for', ''], {}, ['x-forwarded-for', ', 1.2.3.4', ...ADDED.slice(2)]],
    [
      'duplicate metadata stays apart',
      ['k-bin', 'AA==', 'k-bin', 'AQ'],
      { grpc: true },
      ['k-bin', 'AA==', 'k-bin', 'AQ', 'te', 'trailers', ...ADDED],
    ],
    [
      'a name of the length and first letter of a rule is no such name',
      ['up-date', '1', 'tz', '2', 'cactus', '3'],
      {},
      ['up-date', '1', 'tz', '2', 'cactus', '3', ...ADDED],
    ],
  ]
  for (const [title, fields, change, expected] of more) {
    it(title, () => assert.deepEqual(requestFields(fields, { ...CONTEXT, ...change }), expected))
  }
  it('the list that came is not touched', () => {
    const fields = ['connection', 'a', 'a', '1']
    requestFields(fields, CONTEXT)
    assert.deepEqual(fields, ['connection', 'a', 'a', '1'])
  })
})

describe('responseFields', () => {
  it('drops what belongs to the service’s connection, keeps the rest in order', () => {
    const fields = ['date', 'd', 'connection', 'x-hop', 'x-hop', '1', 'keep-alive', '5', 'set-cookie', 'a', 'set-cookie', 'b']
    assert.deepEqual(responseFields(fields, { acceptsTrailers: false }), ['date', 'd', 'set-cookie', 'a', 'set-cookie', 'b'])
  })
  it('a nominated name goes wherever it stands, the announcement of trailers too', () => {
    const fields = ['x-hop', '1', 'trailer', 'x', 'connection', 'X-Hop , trailer', 'a', '2']
    assert.deepEqual(responseFields(fields, { acceptsTrailers: true }), ['a', '2'])
  })
  it('announces trailers only to those who take them', () => {
    assert.deepEqual(responseFields(['trailer', 'x'], { acceptsTrailers: true }), ['trailer', 'x'])
    assert.deepEqual(responseFields(['trailer', 'x'], { acceptsTrailers: false }), [])
  })
})

describe('trailerFields', () => {
  it('what frames, routes or authenticates is no trailer', () => {
    const bad = [
      'content-length',
      'transfer-encoding',
      'host',
      'te',
      'trailer',
      'content-type',
      'authorization',
      'set-cookie',
      ':status',
      'connection',
    ]
    assert.deepEqual(trailerFields([...bad.flatMap(name => [name, '1']), 'grpc-status', '0', 'x', 'y']), ['grpc-status', '0', 'x', 'y'])
  })
})

describe('looking fields up', () => {
  const fields = ['a', 'x', 'b', 'a', 'a', 'Y, z']
  it('the first value, all values, a word of a list', () => {
    assert.equal(fieldValue(fields, 'a'), 'x')
    assert.equal(fieldValue(fields, 'x'), undefined)
    assert.deepEqual(fieldValues(fields, 'a'), ['x', 'Y, z'])
    assert.deepEqual([fieldListHas(fields, 'a', 'y'), fieldListHas(fields, 'a', 'q')], [true, false])
    assert.deepEqual(listWords(' A ,,b, '), ['a', 'b'])
  })
})
