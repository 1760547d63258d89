// The proxy's and the routes' options: every one lands where it belongs, and what does not fit is told exactly.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planUpdate } from '../../../src/core/config/plan.js'
import { PLAIN_PROXY, plainRules } from '../fixture-proxy.js'
import { configOf, problemsOf } from './fake-world.js'

const PEMS = { 'c.pem': 'x', 'k.pem': 'x' }

test('every option of the proxy is taken over', () => {
  const text = `
proxy:
  listen: 127.0.0.1:7000
  listen_tls: "[::]:7443"
  tls_certificate: c.pem
  tls_key: k.pem
  proxy_protocol: required
  proxy_protocol_from: [10.0.0.1, "2001:db8::/32"]
  body_timeout: 5
  send_timeout: 6s
  max_header_fields: 50
  max_connections_per_client: 7
  max_streams: 8
  max_requests_per_connection: 9
  max_control_frames_per_second: 10
  max_continuation_frames: 0
  trusted_hops: 2
  forwarded: both
  compression: true
  compression_types: text/html, application/json
  compression_min_bytes: 2KB
  allow: 10.0.0.0/8
  deny: [10.0.0.9]
routes: [{ prefix: /a/, to: "http://h" }, { prefix: /b/, to: "http://h", compression: false }]
`
  const { proxy, routes } = configOf({ files: { 'guard.yaml': text, ...PEMS } })
  assert.deepEqual(proxy, {
    ...PLAIN_PROXY,
    listen: { host: '127.0.0.1', port: 7000 },
    tls: { listen: { host: '::', port: 7443 }, certificate: '/srv/c.pem', key: '/srv/k.pem' },
    accessLog: proxy.accessLog,
    proxyProtocol: 'required',
    proxyProtocolFrom: ['10.0.0.1', '2001:db8::/32'],
    bodyTimeoutMs: 5000,
    sendTimeoutMs: 6000,
    maxHeaderFields: 50,
    maxConnectionsPerClient: 7,
    maxStreams: 8,
    maxRequestsPerConnection: 9,
    maxResetsPerSecond: 16,
    maxControlFramesPerSecond: 10,
    maxContinuationFrames: 0,
    trustedHops: 2,
    forwarded: 'both',
    compression: { types: ['text/html', 'application/json'], minBytes: 2048 },
    allow: ['10.0.0.0/8'],
    deny: ['10.0.0.9'],
  })
  assert.deepEqual(
    routes.map(({ compression }) => compression),
    [true, false],
  )
})

test('the environment goes before the file: lists with commas, true and false', () => {
  const env = {
    GUARD_PROXY_DENY: '10.0.0.1, 10.1.0.0/16',
    GUARD_PROXY_COMPRESSION: 'true',
    GUARD_PROXY_MAX_STREAMS: '5',
    GUARD_PROXY_FORWARDED: 'both',
  }
  const { proxy, routes } = configOf({ files: { 'guard.yaml': 'routes: [{prefix: /a/, to: "http://h"}]\n' }, env })
  assert.deepEqual([proxy.deny, proxy.maxStreams, proxy.maxResetsPerSecond, proxy.forwarded], [['10.0.0.1', '10.1.0.0/16'], 5, 10, 'both'])
  assert.equal(routes[0]?.compression, true)
})

test('every option of a route is taken over', () => {
  const { routes } = configOf({
    files: {
      'guard.yaml': `
programs: { web: { command: x, port: 80, numprocs: 2 } }
routes:
  - prefix: /a/
    hosts: [X.org, "*.y.org", x.ORG]
    headers: { X-Env: beta, a: 01 }
    to: web
    rewrite: /v2/
    idle_timeout: 90s
    total_timeout: 1h
    balance: hash
    hash_key: header:X-User
    weights: [3, 1]
    retry: { statuses: [502, 503], grpc_statuses: [14] }
    auth: { bearer: ["\${env.TOKEN}", 12345], realm: Models }
    allow: [10.0.0.0/8]
    deny: 10.0.0.1
    rate_limit: { requests: 5, per: 1m }
    max_body_bytes: 10MB
    max_connections_per_endpoint: 4
    grpc_web: false
  - { grpc: pkg.v1.Greeter, to: web }
  - { prefix: /b/, redirect: { to: "https://x.org/b/", status: 302 } }
  - { prefix: /a/, to: web, balance: hash, hash_key: "cookie:Sid", auth: { basic: { anna: 007, bob: "p:w" } } }
`,
    },
    env: { TOKEN: 't-1' },
  })
  const web = { to: { program: 'web' }, weights: [] }
  assert.deepEqual(routes, [
    {
      ...plainRules('/a/'),
      id: '/a/ host=*.y.org,x.org a=01 x-env=beta',
      hosts: ['x.org', '*.y.org'],
      headers: [
        { name: 'a', value: '01' },
        { name: 'x-env', value: 'beta' },
      ],
      to: { program: 'web' },
      weights: [3, 1],
      rewrite: '/v2/',
      idleTimeoutMs: 90_000,
      totalTimeoutMs: 3_600_000,
      balance: { kind: 'hash', key: { from: 'header', name: 'x-user' } },
      retries: { count: 1, statuses: [502, 503], grpcStatuses: [14] },
      auth: { kind: 'bearer', tokens: ['t-1', '12345'], realm: 'Models' },
      allow: ['10.0.0.0/8'],
      deny: ['10.0.0.1'],
      rateLimit: { requests: 5, perMs: 60_000, burst: 5 },
      maxBodyBytes: 10 * 1024 * 1024,
      maxConnectionsPerEndpoint: 4,
      grpcWeb: false,
    },
    { ...plainRules('/pkg.v1.Greeter/'), ...web, protocol: 'h2c', strip: false },
    { ...plainRules('/b/'), to: { endpoints: [] }, weights: [], redirect: { status: 302, target: 'https://x.org/b/' } },
    {
      ...plainRules('/a/'),
      ...web,
      balance: { kind: 'hash', key: { from: 'cookie', name: 'Sid' } },
      auth: {
        kind: 'basic',
        users: [
          { name: 'anna', password: '007' },
          { name: 'bob', password: 'p:w' },
        ],
        realm: 'autodl-guard',
      },
    },
  ])
})

const refused: [text: string, ...problems: string[]][] = [
  [
    'proxy: {deny: [10.0.0.256]}',
    '1:16: proxy.deny[0] is "10.0.0.256"; expected IP addresses or networks such as 10.0.0.0/8 or 2001:db8::/32',
  ],
  [
    'proxy: {allow: "10.0.0.0/8, x"}',
    '1:16: proxy.allow is "10.0.0.0/8, x"; expected IP addresses or networks such as 10.0.0.0/8 or 2001:db8::/32',
  ],
  ['proxy: {allow: 7}', '1:16: proxy.allow is 7; expected IP addresses or networks such as 10.0.0.0/8 or 2001:db8::/32'],
  ['proxy: {forwarded: all}', '1:20: proxy.forwarded is "all"; expected x-forwarded, forwarded or both'],
  ['proxy: {max_streams: 0}', '1:22: proxy.max_streams is 0; expected a whole number from 1 to 10000'],
  ['proxy: {compression: on}', '1:22: proxy.compression is "on"; expected true or false'],
  ['proxy: {listen_tls: "0.0.0.0:1", tls_key: k.pem}', '1:21: proxy.listen_tls needs proxy.tls_certificate'],
  [
    'proxy: {listen_tls: "0.0.0.0:1", tls_certificate: c.pem, tls_key: gone.pem}',
    '1:67: proxy.tls_key is "/srv/gone.pem", which does not exist',
  ],
  [
    'proxy: {listen: none, listen_tls: "0.0.0.0:1", tls_certificate: c.pem, tls_key: k.pem}',
    '1:35: proxy.listen_tls opens a second door, but proxy.listen is none',
  ],
  [
    'proxy: {listen_tls: "127.0.0.1:6006", tls_certificate: c.pem, tls_key: k.pem}',
    '1:21: proxy.listen_tls has port 6006, which proxy.listen has too',
  ],
  [
    'proxy: {listen_tls: "0.0.0.0:81", tls_certificate: c.pem, tls_key: k.pem}\nprograms: {a: {command: x, port: 81}}',
    '2:34: port 81 is doubled: the proxy has it too (proxy.listen_tls)',
  ],
  ['routes: [{to: "http://h"}]', '1:10: route 1 has no prefix; expected a path that starts and ends with "/", such as /web/'],
  ['routes: [{prefix: /a/, grpc: x.Y, to: "http://h"}]', '1:10: route "/a/" has both prefix and grpc; expected one of them'],
  ['routes: [{prefix: /a/}]', '1:10: route "/a/" has no to; expected a program, an address or a list of addresses'],
  ['routes: [{prefix: /a/, to: "http://h", redirect: {to: /}}]', '1:10: route "/a/" has both to and redirect; expected one of them'],
  ['routes: [{grpc: a.B, to: "http://h"}]', '1:26: to is "http://h", but protocol is h2c'],
  ['routes: [{grpc: "a b", to: "http://h"}]', '1:17: grpc is "a b"; expected a gRPC service such as package.Service'],
  [
    'routes: [{prefix: /a/, hosts: "x_*", to: "http://h"}]',
    '1:31: hosts is "x_*"; expected host names such as example.org or *.example.org',
  ],
  [
    'routes: [{prefix: /a/, headers: {"a b": c}, to: "http://h"}]',
    '1:41: headers has the name "a b"; expected each header once, by its name',
  ],
  [
    'routes: [{prefix: /a/, headers: {a: 1, A: 2}, to: "http://h"}]',
    '1:43: headers has the name "A"; expected each header once, by its name',
  ],
  ['routes: [{prefix: /a/, weights: [1, 2], to: "http://h"}]', '1:33: weights has 2 numbers for 1 address'],
  ['routes: [{prefix: /a/, weights: [0], to: "http://h"}]', '1:34: weights[0] is 0; expected a whole number from 1 to 1000'],
  ['routes: [{prefix: /a/, retry: {}, to: "http://h"}]', '1:31: retry names no status; expected statuses, grpc_statuses or both'],
  [
    'routes: [{prefix: /a/, rate_limit: {per: 1s}, to: "http://h"}]',
    '1:36: "rate_limit" of route "/a/" has no requests; expected a whole number from 1 to 1000000000',
  ],
  [
    'routes: [{prefix: /a/, redirect: {to: x}}]',
    '1:39: redirect.to is "x"; expected an address such as https://example.org/web/, or a path',
  ],
  [
    'routes: [{prefix: /a/, redirect: {to: "/b c"}}]',
    '1:39: redirect.to is "/b c"; expected an address such as https://example.org/web/, or a path',
  ],
  ['routes: [{prefix: /a/, redirect: {to: /b, status: 200}}]', '1:51: redirect.status is 200; expected 301, 302, 303, 307 or 308'],
  ['routes: [{prefix: /a/, balance: ring, to: "http://h"}]', '1:33: balance is "ring"; expected round_robin, least_requests or hash'],
  [
    'routes: [{prefix: /a/, hash_key: "header:", to: "http://h"}]',
    '1:34: hash_key is "header:"; expected header:NAME, cookie:NAME or client_ip',
  ],
  ['routes: [{prefix: /a/, auth: {}, to: "http://h"}]', '1:30: auth has no kind; expected bearer with tokens, or basic with users'],
  [
    'routes: [{prefix: /a/, auth: {bearer: []}, to: "http://h"}]',
    '1:30: auth opens for nobody; expected bearer with tokens, or basic with users',
  ],
  [
    'routes: [{prefix: /a/, auth: {bearer: "secret tok"}, to: "http://h"}]',
    '1:39: auth.bearer is text; expected tokens of printable characters without blanks and commas',
  ],
  ['routes: [{prefix: /a/, auth: {basic: {anna: [secret]}}, to: "http://h"}]', '1:45: auth.basic.anna is a list; expected a password'],
  [
    'routes: [{prefix: /a/, hosts: [a, b], to: "http://h"}, {prefix: /a/, hosts: [B, A], to: "http://h"}]',
    '1:65: the route "/a/ host=a,b" is doubled; the other is at guard.yaml:1:19',
  ],
  [
    'routes: [{grpc: a.B, to: "h2c://h"}, {prefix: /a.B/, to: "http://h"}]',
    '1:47: prefix "/a.B/" is doubled; the other is at guard.yaml:1:17',
  ],
]

for (const [text, ...problems] of refused) {
  test(`refused: ${text}`, () => {
    assert.deepEqual(
      problemsOf({ files: { 'guard.yaml': `${text}\n`, ...PEMS } }),
      problems.map(problem => `guard.yaml:${problem}`),
    )
  })
}

test('no message holds a secret', () => {
  for (const [text] of refused.filter(row => row[0].includes('secret'))) {
    assert.doesNotMatch(problemsOf({ files: { 'guard.yaml': `${text}\n` } }).join('\n'), /secret/)
  }
})

test('changes of the proxy and of routes are told by the names of options and routes, never with values', () => {
  const before = 'routes: [{prefix: /a/, to: "http://h", auth: {bearer: one}}, {prefix: /a/, hosts: x, to: "http://h"}]\n'
  const after = `${before.replace('one', 'two')}proxy: {deny: 10.0.0.1, max_streams: 9, compression_min_bytes: 1, proxy_protocol: required}\n`
  const { words } = planUpdate(configOf(before), configOf(after), [])
  assert.deepEqual(words, [
    ...['proxy: compression_min_bytes', 'proxy: deny', 'proxy: max_resets_per_second', 'proxy: max_streams', 'proxy: proxy_protocol'],
    'route /a/',
  ])
})
