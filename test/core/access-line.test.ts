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
      '1.2.3.4 - - [02/Jan/2026:03:04:05 +0000] "GET /a HTTP/1.1" 200 12 "-" "-"\n',
    )
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
        new RegExp(`"GET /${esc(written)} HTTP/1.1" 0 0 "${esc(written)}" "${esc(written)}"\n$`),
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
  it('has no grpc_status where there was none', () => assert.ok(!('grpc_status' in JSON.parse(accessLine(entry(), 'json')))))
})

function esc(text: string): string {
  return text.replace(/[\\[\]]/g, char => `\\${char}`)
}
