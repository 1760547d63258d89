// One request, one route: prefix, then host, then headers, then order.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { redirectTarget } from '../../src/core/route.js'
import { hostOf, matchRoute, routeIndex } from '../../src/core/route-match.js'

const route = (id: string, prefix: string, hosts: string[] = [], headers: Record<string, string> = {}) => ({
  id,
  prefix,
  hosts,
  headers: Object.entries(headers).map(([name, value]) => ({ name, value })),
})

const ROUTES = [
  route('any', '/'),
  route('a', '/a/'),
  route('a on x', '/a/', ['x.org']),
  route('a below org', '/a/', ['*.org']),
  route('a below x', '/a/', ['*.x.org', 'other.net']),
  route('a beta', '/a/', [], { 'x-env': 'beta' }),
  route('a beta de', '/a/', [], { 'x-env': 'beta', 'x-lang': 'de' }),
  route('a on x beta', '/a/', ['x.org'], { 'x-env': 'beta' }),
  route('first', '/same/', [], { one: '1' }),
  route('second', '/same/', [], { two: '2' }),
  route('ab', '/a/b/'),
  route('service', '/pkg.Greeter/'),
]

describe('matchRoute', () => {
  const rows: [path: string, authority: string, fields: string[], expected: string][] = [
    ['/', 'h', [], 'any'],
    ['/a/', 'h', [], 'a'],
    ['/a', 'h', [], 'any'],
    ['/A/', 'h', [], 'any'],
    ['/a/b/c', 'x.org', ['x-env', 'beta'], 'ab'],
    ['/a/x', 'x.org', [], 'a on x'],
    ['/a/x', 'X.ORG:6006', [], 'a on x'],
    ['/a/x', 'y.org', [], 'a below org'],
    ['/a/x', 'y.x.org', [], 'a below x'],
    ['/a/x', 'z.y.x.org:1', [], 'a below x'],
    ['/a/x', '.org', [], 'a'],
    ['/a/x', 'org', [], 'a'],
    ['/a/x', 'notx.org', [], 'a below org'],
    ['/a/x', 'other.net', [], 'a below x'],
    ['/a/x', 'h', ['x-env', 'beta'], 'a beta'],
    ['/a/x', 'h', ['x-env', 'Beta'], 'a'],
    ['/a/x', 'h', ['x-env', 'beta', 'x-lang', 'de'], 'a beta de'],
    ['/a/x', 'x.org', ['x-env', 'beta', 'x-lang', 'de'], 'a on x beta'],
    ['/a/x', 'y.org', ['x-env', 'beta'], 'a below org'],
    ['/same/', 'h', ['one', '1', 'two', '2'], 'first'],
    ['/same/', 'h', ['two', '2'], 'second'],
    ['/same/', 'h', [], 'any'],
    ['/pkg.Greeter/Hello', 'h', [], 'service'],
    ['/pkg.GreeterX/Hello', 'h', [], 'any'],
  ]
  const index = routeIndex(ROUTES)
  const backwards = routeIndex(ROUTES.toReversed())
  for (const [path, authority, fields, expected] of rows) {
    it(`${path} on ${authority} with ${fields.join(' ') || 'nothing'} is "${expected}"`, () => {
      assert.equal(matchRoute(index, path, { authority, fields })?.id, expected)
      const other = expected === 'first' ? 'second' : expected
      assert.equal(matchRoute(backwards, path, { authority, fields })?.id, other, 'whatever the order')
    })
  }
  it('what fits nowhere is nobody’s', () => {
    const narrow = routeIndex(ROUTES.slice(2, 4))
    assert.equal(matchRoute(narrow, '/a/', { authority: 'h', fields: [] }), undefined)
    assert.equal(matchRoute(narrow, '/b/', { authority: 'x.org', fields: [] }), undefined)
  })
  it('hostOf takes the port off and keeps IPv6 brackets', () =>
    assert.deepEqual(['A:1', 'a', '[::1]:80', '[::1]'].map(hostOf), ['a', 'a', '[::1]', '[::1]']))
})

describe('redirectTarget', () => {
  for (const [to, target, expected] of [
    ['https://x.org/new/', '/a/b?c', 'https://x.org/new/b?c'],
    ['https://x.org/new', '/a/b?c', 'https://x.org/new'],
    ['/', '/a/', '/'],
    ['/v2/', '/a/%2e?', '/v2/%2e?'],
  ] as const) {
    it(`${target} of /a/ goes to ${expected}`, () =>
      assert.equal(redirectTarget({ prefix: '/a/', redirect: { target: to } }, target), expected))
  }
})
