// Targets and prefixes, byte by byte.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { forwardTarget, parseTarget } from '../../src/core/route.js'

describe('parseTarget', () => {
  const accepted: [string, string, string, string | null][] = [
    ['/', '/', '/', null],
    ['/a/b?c=d', '/a/b', '/a/b?c=d', null],
    ['//a//', '//a//', '//a//', null],
    ['/a?', '/a', '/a?', null],
    ['/a?../b', '/a', '/a?../b', null],
    ['/a?100%', '/a', '/a?100%', null],
    ['/a?\\', '/a', '/a?\\', null],
    ['/...', '/...', '/...', null],
    ['/..;/a', '/..;/a', '/..;/a', null],
    ['/a..', '/a..', '/a..', null],
    ['/%2E%2E%2E/', '/%2E%2E%2E/', '/%2E%2E%2E/', null],
    ['/a%2Fb', '/a%2Fb', '/a%2Fb', null],
    ['/!$&\'()*+,;=:@~|{}"<>^`', '/!$&\'()*+,;=:@~|{}"<>^`', '/!$&\'()*+,;=:@~|{}"<>^`', null],
    ['http://h:1/a?b', '/a', '/a?b', 'h:1'],
    ['HTTP://h', '/', '/', 'h'],
    ['http://h?q', '/', '/?q', 'h'],
  ]
  for (const [raw, path, target, authority] of accepted) {
    it(`${raw} is the path ${path}`, () => assert.deepEqual(parseTarget(raw), { kind: 'ok', path, target, authority }))
  }

  const refused = [
    '',
    '*',
    'a',
    '?a',
    'ftp://h/a',
    '/a b',
    '/a\tb',
    '/a\0',
    '/a\x7f',
    '/\xe4',
    '/a#b',
    '/a?b#c',
    '/a?b c',
    '/a\\b',
    '/%',
    '/%2',
    '/%zz',
    '/%00',
    '/.',
    '/..',
    '/./a',
    '/../a',
    '/a/..',
    '/a/.',
    '/%2e',
    '/%2E%2e/a',
    '/.%2e',
    '/%2e.',
    '/..%2fa',
    '/a%2f..',
    '/a%2F.%2Fb',
    '/a%5c..%5cb',
    'http://h/../a',
  ]
  for (const raw of refused) {
    it(`${JSON.stringify(raw)} is refused with a reason`, () => {
      const result = parseTarget(raw)
      assert.equal(result.kind, 'bad')
      assert.ok(result.kind === 'bad' && result.reason.length > 0)
    })
  }
})

describe('forwardTarget', () => {
  for (const [prefix, strip, target, forwarded] of [
    ['/web/', true, '/web/a?x', '/a?x'],
    ['/web/', true, '/web/', '/'],
    ['/web/', true, '/web/?x', '/?x'],
    ['/web/', true, '/web//a', '//a'],
    ['/web/', false, '/web/a', '/web/a'],
    ['/', true, '/a', '/a'],
  ] as const) {
    it(`${target} behind ${prefix} ${strip ? 'stripped' : 'whole'} is ${forwarded}`, () =>
      assert.equal(forwardTarget({ prefix, strip }, target), forwarded))
  }
  for (const [rewrite, target, forwarded] of [
    ['/v2/', '/web/a?x', '/v2/a?x'],
    ['/', '/web/a', '/a'],
    ['/v2/', '/web/', '/v2/'],
    ['/v2/', '/web//a', '/v2//a'],
  ] as const) {
    it(`${target} behind /web/ rewritten to ${rewrite} is ${forwarded}`, () =>
      assert.equal(forwardTarget({ prefix: '/web/', strip: true, rewrite }, target), forwarded))
  }
})
