// Forwarded and X-Forwarded-For: written for IPv4, IPv6 and oddities, read back, and believed as far as hops are trusted.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { clientAddress } from '../../src/core/client-address.js'
import { forwardedClients, forwardedElement, nodeAddress } from '../../src/core/forwarded.js'

describe('forwardedElement', () => {
  for (const [client, authority, expected] of [
    ['10.0.0.1', 'x.org', 'for=10.0.0.1;host=x.org;proto=http'],
    ['10.0.0.1', 'x.org:6006', 'for=10.0.0.1;host="x.org:6006";proto=http'],
    ['2001:db8::1', '[::1]:80', 'for="[2001:db8::1]";host="[::1]:80";proto=http'],
    ['fe80::1%eth0', 'x', 'for="[fe80::1]";host=x;proto=http'],
    ['10.0.0.1', '', 'for=10.0.0.1;proto=http'],
    ['', 'a"b\\c', 'for=unknown;host="a\\"b\\\\c";proto=http'],
  ] as const) {
    it(`${client || 'nobody'} at ${authority}`, () => {
      const element = forwardedElement({ client, authority, scheme: 'http' })
      assert.equal(element, expected)
      assert.deepEqual(forwardedClients(`${element}, ${element}`), Array(2).fill(client.replace('%eth0', '') || 'unknown'))
    })
  }
})

describe('forwardedClients', () => {
  for (const [value, expected] of [
    ['for=1.2.3.4', ['1.2.3.4']],
    ['For="[2001:db8::1]:4711"', ['2001:db8::1']],
    ['for=1.2.3.4:80;proto=https, by=x;for=_hidden', ['1.2.3.4', '_hidden']],
    ['proto=http', ['']],
    ['for="a, for=6.6.6.6", for=1.1.1.1', ['a, for=6.6.6.6', '1.1.1.1']],
    ['host="x;for=6.6.6.6";for=1.1.1.1', ['1.1.1.1']],
    ['host="a\\", for=6.6.6.6", for=1.1.1.1', ['', '1.1.1.1']],
    ['for="6.6.6.6, for=1.1.1.1', ['', '1.1.1.1']],
    ['for="6.6.6.6, for="[::1]";host="h:1"', ['', '::1']],
    ['for="\\, for=1.1.1.1', ['', '1.1.1.1']],
    ['', ['']],
  ] as const) {
    it(`${value || 'nothing'}`, () => assert.deepEqual(forwardedClients(value), expected))
  }
  it('nodeAddress takes ports off both families', () =>
    assert.deepEqual(['1.2.3.4:5', '[::1]:5', '[::1]', '::1', '1.2.3.4', '[::1'].map(nodeAddress), [
      '1.2.3.4',
      '::1',
      '::1',
      '::1',
      '1.2.3.4',
      '',
    ]))
})

describe('clientAddress', () => {
  const list = ['x-forwarded-for', '6.6.6.6, 1.1.1.1', 'x-forwarded-for', '2.2.2.2:80']
  const rows: [string, string[], number, 'x-forwarded' | 'forwarded' | 'both', string][] = [
    ['nobody is believed with 0', list, 0, 'x-forwarded', '9.9.9.9'],
    ['the last entry with 1', list, 1, 'x-forwarded', '2.2.2.2'],
    ['the one before with 2', list, 2, 'x-forwarded', '1.1.1.1'],
    ['the first where the list is shorter', list, 7, 'x-forwarded', '6.6.6.6'],
    ['the peer where there is no list', [], 1, 'x-forwarded', '9.9.9.9'],
    ['the peer where the entry is no address', ['x-forwarded-for', '1.1.1.1, unknown'], 1, 'x-forwarded', '9.9.9.9'],
    ['the peer where the entry is empty', ['x-forwarded-for', '1.1.1.1,'], 1, 'x-forwarded', '9.9.9.9'],
    ['IPv6 as it is', ['x-forwarded-for', '2001:db8::1'], 1, 'both', '2001:db8::1'],
    ['Forwarded where that is the style', ['forwarded', 'for="[2001:db8::7]", for=3.3.3.3', ...list], 2, 'forwarded', '2001:db8::7'],
    ['X-Forwarded-For is not read then', list, 1, 'forwarded', '9.9.9.9'],
  ]
  for (const [title, fields, trustedHops, forwarded, expected] of rows) {
    it(title, () => assert.equal(clientAddress({ peer: '9.9.9.9', fields }, { trustedHops, forwarded }), expected))
  }
})
