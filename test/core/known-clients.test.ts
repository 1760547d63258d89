// What an address says of its client, and how many are remembered.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { parseAddress } from '../../src/core/address.js'
import { KNOWN_MAX, KnownClients } from '../../src/core/known-clients.js'

describe('a known client', () => {
  const clients = new KnownClients()
  const keyOf = (client: string) => clients.of(client).key

  it('is its address, the first time and later', () => {
    for (const client of ['10.0.0.1', '10.0.0.2', '2001:db8::1', 'unknown', '', '10.0.0.1', 'unknown']) {
      assert.deepEqual(clients.of(client).address, parseAddress(client))
      assert.equal(clients.of(client), clients.of(client))
    }
  })

  it('an IPv6 client counts as its /64; IPv4 as itself, mapped or not', () => {
    assert.equal(keyOf('2001:db8:1:2:3::1'), keyOf('2001:db8:1:2:ffff::9'))
    assert.notEqual(keyOf('2001:db8:1:2::1'), keyOf('2001:db8:1:3::1'))
    assert.deepEqual(['10.0.0.1', '::ffff:10.0.0.1', '::ffff:a00:1', 'x:', 'x'].map(keyOf), ['10.0.0.1', '10.0.0.1', '10.0.0.1', 'x:', 'x'])
  })

  it('beyond their bound all are forgotten, and known again', () => {
    const many = new KnownClients()
    for (let at = 0; at < KNOWN_MAX; at++) many.of(`c${at}`)
    assert.equal(many.count, KNOWN_MAX)
    assert.equal(many.of('10.0.0.1').key, '10.0.0.1')
    assert.equal(many.count, 1)
  })
})
