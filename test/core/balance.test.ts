// Round robin over what is ready.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { nextEndpoint } from '../../src/core/balance.js'

const endpoints = (text: string) => [...text].map(id => ({ id: id.toLowerCase(), ready: id === id.toLowerCase() }))

/** The ids of `count` choices in a row. */
function choices(text: string, count: number, skipped: string[] = []): string {
  let cursor = 0
  let out = ''
  for (let at = 0; at < count; at++) {
    const choice = nextEndpoint(endpoints(text), cursor, skipped)
    if (choice === null) return `${out}-`
    cursor = choice.cursor
    out += choice.endpoint.id
  }
  return out
}

describe('nextEndpoint', () => {
  // Upper case: not ready.
  for (const [text, skipped, expected] of [
    ['abc', '', 'abcabc'],
    ['aBc', '', 'acacac'],
    ['ABc', '', 'cccccc'],
    ['ABC', '', '-'],
    ['', '', '-'],
    ['abc', 'b', 'acacac'],
    ['abc', 'abc', '-'],
    ['aBc', 'c', 'aaaaaa'],
  ] as const) {
    it(`of ${text || 'none'} without ${skipped || 'none'}: ${expected}`, () => assert.equal(choices(text, 6, [...skipped]), expected))
  }
  it('a cursor beyond a list that became shorter begins anew', () => assert.equal(nextEndpoint(endpoints('ab'), 7, [])?.endpoint.id, 'b'))
})
