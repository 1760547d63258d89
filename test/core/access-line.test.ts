// Lines of the access log that no client can break.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type AccessEntry, accessLine, newEntry } from '../../src/core/access-line.js'

const head = { version: 'HTTP/1.1', method: 'GET', target: '/a', authority: 'h', client: '1.2.3.4', fields: [] as string[] }
const entry = (change: Partial<AccessEntry> = {}): AccessEntry => ({
  ...newEntry(head, { atMs: Date.UTC(2026, 0, 2, 3, 4, 5), requestId: 'r' }),
  ...change,
})

describe('combined', () => {
  it('has the fields in their places, - where there is none', () => {
    assert.equal(
      accessLine(entry({ status: 200, bytesOut: 12 }), 'combined'),
      '1.2.3.4 - - [02/Jan/2026:03:04:05 +0000] "GET /a HTTP/1.1" 200 12 "-" "-" id=r bytes_in=0 duration_ms=0.000 attempts=0 retries=0 end=ok\n',
    )
  })
  it('has behind it what the proxy knows besides, with the keys of JSON; a key without a value is left out', () => {
    const line = accessLine(
      entry({
        ...{ route: '/a/', upstream: 'web', endpoint: 'web_00', upstreamProtocol: 'h2c', attempts: 2, retries: 1, grpcStatus: '4' },
        ...{ messagesIn: 3, messagesOut: 0, headMs: 0.5, bytesIn: 7, durationMs: 12, end: 'DEADLINE_PASSED' },
      }),
      'combined',
    )
    assert.equal(
      line.slice(line.lastIndexOf('"') + 2),
      'id=r route=/a/ endpoint=web_00 grpc_status=4 bytes_in=7 messages_in=3 messages_out=0 duration_ms=12.000 head_ms=0.500 attempts=2 retries=1 end=DEADLINE_PASSED deadline=true\n',
    )
    assert.match(accessLine(entry({ end: 'client_gone' }), 'combined'), / end=client_gone cancelled=true\n$/)
  })
  for (const [value, written] of [
    ['a b', '"a b"'],
    ['a"b', '"a\\x22b"'],
    ['a\nend=ok', '"a\\x0aend=ok"'],
    ['', '""'],
  ] as const) {
    it(`a value of ${JSON.stringify(value)} is one word or in quotes`, () => {
      const line = accessLine(entry({ requestId: value, grpcStatus: value }), 'combined')
      assert.ok(line.includes(` id=${written} grpc_status=${written} bytes_in=`), line)
      assert.equal(line.indexOf('\n'), line.length - 1)
    })
  }
  it('what came was no request line: -', () => {
    const line = accessLine(entry({ head: { ...head, method: '', target: '' }, status: 400 }), 'combined')
    assert.match(line, /\+0000\] "-" 400 0 "-" "-" id=r /)
  })
  for (const [value, written] of [
    ['a"b', 'a\\x22b'],
    ['a\\b', 'a\\x5cb'],
    ['a\nb', 'a\\x0ab'],
    ['\xe4', '\\xe4'],
    ['\x1b[31m', '\\x1b[31m'],
  ] as const) {
    it(`${JSON.stringify(value)} is written ${written}`, () => {
      const fields = ['user-agent', value, 'referer', value]
      assert.match(
        accessLine(entry({ head: { ...head, fields, target: `/${value}` } }), 'combined'),
        new RegExp(`"GET /${esc(written)} HTTP/1.1" 0 0 "${esc(written)}" "${esc(written)}" id=r bytes_in=0 .*\n$`),
      )
    })
  }
})

describe('json', () => {
  it('is one line that says the same, whatever is in it', () => {
    const line = accessLine(entry({ head: { ...head, target: '/\n"' }, grpcStatus: '14', durationMs: 1.23456, end: 'X' }), 'json')
    assert.equal(line.indexOf('\n'), line.length - 1)
    const value = JSON.parse(line)
    assert.deepEqual(
      [value.target, value.grpc_status, value.duration_ms, value.end, value.time],
      ['/\n"', 14, 1.235, 'X', '2026-01-02T03:04:05.000Z'],
    )
  })
  it('says what the proxy knows besides: route, protocols, retries, messages, times', () => {
    const value = JSON.parse(
      accessLine(
        entry({
          ...{ client: '5.6.7.8', route: '/a/', upstream: 'web', endpoint: 'web_00', upstreamProtocol: 'h2c', attempts: 2, retries: 1 },
          ...{ messagesIn: 3, messagesOut: 0, headMs: 0.5, bytesIn: 7, durationMs: 12 },
        }),
        'json',
      ),
    )
    assert.deepEqual(value, {
      ...{
        time: '2026-01-02T03:04:05.000Z',
        id: 'r',
        client: '5.6.7.8',
        protocol: 'HTTP/1.1',
        method: 'GET',
        authority: 'h',
        target: '/a',
      },
      ...{ status: 0, bytes_in: 7, bytes_out: 0, messages_in: 3, messages_out: 0, duration_ms: 12, head_ms: 0.5 },
      ...{
        route: '/a/',
        upstream: 'web',
        endpoint: 'web_00',
        upstream_protocol: 'h2c',
        attempts: 2,
        retries: 1,
        end: 'ok',
        user_agent: '-',
      },
    })
  })
  for (const [end, flag] of [
    ['client_gone', 'cancelled'],
    ['DEADLINE_PASSED', 'deadline'],
  ] as const) {
    it(`${end} is flagged ${flag}`, () => assert.equal(JSON.parse(accessLine(entry({ end }), 'json'))[flag], true))
  }
  for (const [ms, written] of [
    [0, 0],
    [0.0004, 0],
    [0.001, 0.001],
    [1.05, 1.05],
    [1.9996, 2],
    [86_400_000.5, 86_400_000.5],
  ] as const) {
    it(`${ms} ms is ${written}`, () => assert.equal(JSON.parse(accessLine(entry({ durationMs: ms }), 'json')).duration_ms, written))
  }
  for (const [status, written] of [
    ['0', 0],
    ['014', 14],
    ['x"', null],
    ['', null],
    ['1e999', null],
  ] as const) {
    it(`a grpc-status of ${JSON.stringify(status)} is ${written}`, () =>
      assert.equal(JSON.parse(accessLine(entry({ grpcStatus: status }), 'json')).grpc_status, written))
  }
  it('every text of the request may hold anything', () => {
    const odd = 'a"\\\n\0\x7f\xff\t'
    const line = accessLine(
      entry({
        requestId: odd,
        client: odd,
        route: odd,
        head: { ...head, method: odd, authority: odd, target: odd, fields: ['user-agent', odd] },
      }),
      'json',
    )
    const value = JSON.parse(line)
    for (const key of ['id', 'client', 'route', 'method', 'authority', 'target', 'user_agent']) assert.equal(value[key], odd, key)
    assert.equal(line.indexOf('\n'), line.length - 1)
  })
  it('has no grpc_status where there was none', () => assert.ok(!('grpc_status' in JSON.parse(accessLine(entry(), 'json')))))
})

function esc(text: string): string {
  return text.replace(/[\\[\]]/g, char => `\\${char}`)
}

describe('time stamps', () => {
  it('are right however requests follow each other', () => {
    for (const atMs of [1_767_323_045_000, 1_767_323_045_999, 1_767_323_046_007, 1_767_323_045_020.7, 1_709_164_799_999, 951_782_400_000]) {
      assert.equal(JSON.parse(accessLine(entry({ atMs }), 'json')).time, new Date(Math.floor(atMs)).toISOString())
      const [, day, month, year, time] = /\[(\d\d)\/(\w{3})\/(\d{4}):([\d:]{8}) \+0000\]/.exec(accessLine(entry({ atMs }), 'combined'))!
      assert.equal(Date.parse(`${day} ${month} ${year} ${time} GMT`), Math.floor(atMs / 1000) * 1000)
    }
  })
})
