// Accounts, from a passwd file.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findAccount, readPasswd } from '../../src/host/accounts.js'

const PASSWD =
  'root:x:0:0:root:/root:/bin/sh\nwww:x:33:33::/var/www:/bin/false\n1000:x:7:70::/odd:/bin/sh\nnohome:x:8:8:::\n\n:broken\nu:x\n'

test('an account is found by name or number, as the shim will: digits are a number, and a number needs an entry', () => {
  assert.deepEqual(findAccount('www', PASSWD), { uid: 33, gid: 33, name: 'www', home: '/var/www' })
  assert.deepEqual(findAccount('33', PASSWD), { uid: 33, gid: 33, name: 'www', home: '/var/www' })
  assert.deepEqual(findAccount('7', PASSWD), { uid: 7, gid: 70, name: '1000', home: '/odd' })
  assert.deepEqual(findAccount('nohome', PASSWD), { uid: 8, gid: 8, name: 'nohome', home: null })
  for (const user of ['nobdy', '1000', '4711', '', 'u', ':broken', '-1', '99999999999']) assert.equal(findAccount(user, PASSWD), null, user)
})

test('this machine has root', () => assert.deepEqual(findAccount('root', readPasswd()), { uid: 0, gid: 0, name: 'root', home: '/root' }))
