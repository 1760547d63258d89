// Accounts, from a passwd file.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findAccount, readPasswd } from '../../src/host/accounts.js'

const PASSWD =
  'root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/var/www:/bin/false\n1000:x:7:7::/odd:/bin/sh\nnohome:x:8:8:::\n\n:broken\nu:x\n'

test('an account is found by name, then by number; a number needs no entry', () => {
  assert.deepEqual(findAccount('www', PASSWD), { uid: 33, name: 'www', home: '/var/www' })
  assert.deepEqual(findAccount('33', PASSWD), { uid: 33, name: 'www', home: '/var/www' })
  assert.deepEqual(findAccount('1000', PASSWD), { uid: 7, name: '1000', home: '/odd' })
  assert.deepEqual(findAccount('4711', PASSWD), { uid: 4711, name: '4711', home: null })
  assert.deepEqual(findAccount('nohome', PASSWD), { uid: 8, name: 'nohome', home: null })
  for (const user of ['nobdy', '', 'u', ':broken', '-1', '99999999999']) assert.equal(findAccount(user, PASSWD), null, user)
})

test('this machine has root', () => assert.deepEqual(findAccount('root', readPasswd()), { uid: 0, name: 'root', home: '/root' }))
