// Durations, sizes, signals, masks and addresses as people write them, and the nearest name on a typo.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest } from '../../../src/core/config/problem.js'
import { parseDuration, parseListen, parseSignal, parseSize, parseUmask, parseUrl, showDuration } from '../../../src/core/config/units.js'

function table<In, Out>(title: string, call: (value: In) => Out, rows: [value: In, want: Out][]): void {
  test(title, () => {
    for (const [value, want] of rows) assert.deepEqual(call(value), want, JSON.stringify(value))
  })
}

table<string | number, number | null>('durations take units; without one they are seconds', parseDuration, [
  [1, 1000],
  [0, 0],
  [1.5, 1500],
  ['10', 10_000],
  ['0.25', 250],
  ['250ms', 250],
  ['10s', 10_000],
  ['1.5m', 90_000],
  ['1m30s', 90_000],
  ['1h', 3_600_000],
  ['1d', 86_400_000],
  ['', null],
  ['s', null],
  ['10 s', null],
  ['-1s', null],
  ['10S', null],
  ['1m30', null],
  ['1e3s', null],
  ['1w', null],
  [Number.NaN, null],
])

table<number, string>('durations are shown in their largest whole unit', showDuration, [
  [0, '0'],
  [250, '250ms'],
  [1000, '1s'],
  [90_000, '90s'],
  [60_000, '1m'],
  [86_400_000, '1d'],
])

table<string | number, number | null>('sizes take units of 1024; without one they are bytes', parseSize, [
  [0, 0],
  [123, 123],
  ['123', 123],
  ['10B', 10],
  ['1KB', 1024],
  ['64kb', 65_536],
  ['50MB', 52_428_800],
  ['1GB', 1_073_741_824],
  ['2TB', 2_199_023_255_552],
  ['1.5MB', null],
  ['5 MB', null],
  ['MB', null],
  ['5M', null],
  ['5XB', null],
  [-1, null],
  [1.5, null],
  ['99999999999999999999', null],
  ['9999999TB', null],
])

table<string, string | null>('signals are known with and without SIG, in any case', parseSignal, [
  ['TERM', 'TERM'],
  ['SIGTERM', 'TERM'],
  ['sigusr1', 'USR1'],
  ['int', 'INT'],
  ['15', null],
  ['SIG', null],
  ['WINCH', null],
])

table<string, number | null>('masks are octal', parseUmask, [
  ['022', 0o22],
  ['22', 0o22],
  ['0o27', 0o27],
  ['0', 0],
  ['0777', 0o777],
  ['1777', null],
  ['088', null],
  ['', null],
  ['u=rwx', null],
])

table<string, { host: string; port: number } | null>('listen is host:port', parseListen, [
  ['0.0.0.0:6006', { host: '0.0.0.0', port: 6006 }],
  ['localhost:0', { host: 'localhost', port: 0 }],
  ['[::1]:80', { host: '::1', port: 80 }],
  ['::1:80', null],
  [':6006', null],
  ['6006', null],
  ['h:65536', null],
  ['a b:1', null],
  ['-a:1', null],
])

const address = (host: string, port: number) => ({ host, port })

table('addresses are http, h2c or unix', parseUrl, [
  ['http://a', { protocol: 'http1', protocolIsSaid: true, address: address('a', 80) }],
  ['http://a:8080/', { protocol: 'http1', protocolIsSaid: true, address: address('a', 8080) }],
  ['h2c://[::1]:50051', { protocol: 'h2c', protocolIsSaid: true, address: address('::1', 50_051) }],
  ['unix:/run/x.sock', { protocol: 'http1', protocolIsSaid: false, address: { socket: '/run/x.sock' } }],
  ['unix:///run/x.sock', { protocol: 'http1', protocolIsSaid: false, address: { socket: '/run/x.sock' } }],
  ['https://a', { error: 'TLS to a service is not spoken here; expected http://, h2c:// or unix:' }],
  ['http://a:0', { error: 'expected http://host:port, h2c://host:port or unix:/path' }],
  ['http://u@a', { error: 'expected http://host:port, h2c://host:port or unix:/path' }],
  ['http://a/x', { error: 'an address has no path; expected http://host:port, h2c://host:port or unix:/path' }],
  ['unix:x', { error: 'expected http://host:port, h2c://host:port or unix:/path' }],
  ['a:80', { error: 'expected http://host:port, h2c://host:port or unix:/path' }],
])

const options = ['command', 'startsecs', 'startretries', 'stopsignal', 'port', 'user', 'nice']

table<string, string | null>('the nearest name is at most a third away, the first on a tie', name => nearest(name, options), [
  ['comand', 'command'],
  ['commnad', 'command'],
  ['COMMAND', 'command'],
  ['prot', 'port'],
  ['ports', 'port'],
  ['startsec', 'startsecs'],
  ['start_secs', 'startsecs'],
  ['startretrys', 'startretries'],
  ['usr', 'user'],
  ['zzz', null],
  ['', null],
  ['x'.repeat(100_000), null],
])
