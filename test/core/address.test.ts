// Addresses and networks of both families, and who may come in.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { accessRules, inNetwork, isAllowed, parseAddress, parseNetwork } from '../../src/core/address.js'

describe('parseAddress', () => {
  const same: [string, string][] = [
    ['10.0.0.1', '::ffff:10.0.0.1'],
    ['10.0.0.1', '::ffff:a00:1'],
    ['::1', '0:0:0:0:0:0:0:1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['2001:DB8::', '2001:db8:0:0:0:0:0:0'],
    ['::', '0:0:0:0:0:0:0.0.0.0'],
    ['1::', '1:0:0:0:0:0:0:0'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
  ]
  for (const [a, b] of same) {
    it(`${a} is ${b}`, () => {
      assert.notEqual(parseAddress(a), null)
      assert.deepEqual(parseAddress(a), parseAddress(b))
    })
  }
  it('255.255.255.255 and ffff:… keep all their bits', () => {
    assert.deepEqual(parseAddress('255.255.255.255'), { a: 0, b: 0, c: 0xffff, d: 0xffff_ffff })
    assert.deepEqual(parseAddress('ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe'), {
      a: 0xffff_ffff,
      b: 0xffff_ffff,
      c: 0xffff_ffff,
      d: 0xffff_fffe,
    })
  })
  for (const text of [
    ...['', '1', '1.2.3', '1.2.3.4.5', '256.0.0.1', '01.2.3.4', '1.2.3.4 ', '0x1.2.3.4', ':', ':::', '1::2::3', '1:2:3:4:5:6:7', 'g::'],
    ...['1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8::', '12345::', '1.2.3.4::', '::1.2.3', '::1%', 'host', 'unknown', '[::1]', ':1::2'],
  ]) {
    it(`${JSON.stringify(text)} is none`, () => assert.equal(parseAddress(text), null))
  }
})

describe('networks', () => {
  const rows: [network: string, inside: string[], outside: string[]][] = [
    ['10.0.0.0/8', ['10.0.0.0', '10.255.255.255', '::ffff:10.1.2.3'], ['11.0.0.0', '9.255.255.255', '::a00:1']],
    ['10.1.2.3/8', ['10.9.9.9'], ['11.1.2.3']],
    ['192.168.1.128/25', ['192.168.1.128', '192.168.1.255'], ['192.168.1.127']],
    ['1.2.3.4', ['1.2.3.4'], ['1.2.3.5']],
    ['0.0.0.0/0', ['1.2.3.4', '255.0.0.1'], ['::1', '2001:db8::1']],
    ['::/0', ['::1', '1.2.3.4'], []],
    ['2001:db8::/32', ['2001:db8::1', '2001:db8:ffff::'], ['2001:db9::', '1.2.3.4']],
    ['2001:db8:0:8000::/49', ['2001:db8:0:8000::1', '2001:db8:0:ffff::'], ['2001:db8:0:7fff::']],
    ['fe80::1/128', ['fe80::1'], ['fe80::2']],
  ]
  for (const [text, inside, outside] of rows) {
    it(`${text} holds ${inside.join(', ')}; not ${outside.join(', ') || 'nobody'}`, () => {
      const network = parseNetwork(text)!
      for (const each of inside) assert.ok(inNetwork(network, parseAddress(each)!), each)
      for (const each of outside) assert.ok(!inNetwork(network, parseAddress(each)!), each)
    })
  }
  for (const text of ['10.0.0.0/33', '::/129', '10.0.0.0/', '10.0.0.0/08', '10.0.0.0/-1', '10.0.0.0/8/8', 'fe80::%eth0/64', 'x/8']) {
    it(`${text} is none`, () => assert.equal(parseNetwork(text), null))
  }
})

describe('isAllowed', () => {
  const rows: [allow: string[], deny: string[], address: string, expected: boolean][] = [
    [[], ['10.0.0.1'], '10.0.0.1', false],
    [[], ['10.0.0.1'], '10.0.0.2', true],
    [['10.0.0.0/8'], [], '10.0.0.2', true],
    [['10.0.0.0/8'], [], '11.0.0.2', false],
    [['10.0.0.0/8'], ['10.0.0.1'], '10.0.0.1', false],
    [['10.0.0.0/8'], [], '::ffff:10.0.0.2', true],
    [['2001:db8::/32'], [], '2001:db8::7', true],
    [['10.0.0.0/8'], [], 'nonsense', false],
    [[], ['10.0.0.1'], 'nonsense', false],
    [['broken'], [], '10.0.0.2', false],
  ]
  for (const [allow, deny, address, expected] of rows) {
    it(`allow ${allow.join() || '-'}, deny ${deny.join() || '-'}: ${address} ${expected ? 'may' : 'may not'}`, () =>
      assert.equal(isAllowed(accessRules({ allow, deny }), parseAddress(address)), expected))
  }
  it('without lists everybody may, and there is nothing to compile', () => {
    assert.equal(accessRules({ allow: [], deny: [] }), null)
    assert.ok(isAllowed(null, null))
  })
})
