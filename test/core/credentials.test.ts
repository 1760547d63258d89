// What opens a route with auth, and what does not.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkCredentials, credentialsOf } from '../../src/core/credentials.js'

const bearer = credentialsOf({ kind: 'bearer', tokens: ['tok-1', 'tok-22'], realm: 'r' })
const basic = credentialsOf({
  kind: 'basic',
  users: [
    { name: 'anna', password: 'p:w' },
    { name: 'zoë', password: 'é€' },
  ],
  realm: 'models',
})
const pair = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`

describe('checkCredentials', () => {
  const rows: [typeof bearer, string | undefined, 'ok' | 'missing' | 'wrong'][] = [
    [bearer, 'Bearer tok-1', 'ok'],
    [bearer, 'bearer tok-22', 'ok'],
    [bearer, 'BEARER  tok-1 ', 'ok'],
    [bearer, undefined, 'missing'],
    [bearer, '', 'missing'],
    [bearer, 'Basic tok-1', 'missing'],
    [bearer, 'Bearertok-1', 'missing'],
    [bearer, 'Bearer ', 'wrong'],
    [bearer, 'Bearer tok-', 'wrong'],
    [bearer, 'Bearer tok-11', 'wrong'],
    [bearer, 'Bearer tok-2', 'wrong'],
    [bearer, 'Bearer TOK-1', 'wrong'],
    [bearer, `Bearer ${'x'.repeat(100_000)}`, 'wrong'],
    [basic, pair('anna:p:w'), 'ok'],
    [basic, pair('zoë:é€'), 'ok'],
    [basic, pair('anna:pw'), 'wrong'],
    [basic, pair('anna'), 'wrong'],
    [basic, pair('zoë:p:w'), 'wrong'],
    [basic, 'Basic !!!', 'wrong'],
    [basic, 'Bearer tok-1', 'missing'],
  ]
  for (const [credentials, given, expected] of rows) {
    it(`${credentials.scheme}: ${given?.slice(0, 30) ?? 'nothing'} is ${expected}`, () =>
      assert.equal(checkCredentials(credentials, given), expected))
  }
  it('the challenge names the scheme and the realm', () =>
    assert.deepEqual([bearer.challenge, basic.challenge], ['Bearer realm="r"', 'Basic realm="models", charset="UTF-8"']))
})
