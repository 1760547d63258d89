// The pure pieces of what guardctl prints: times, sizes, escapes, names.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clockText, statusLines, uptimeText } from '../../src/control/cli/status-lines.js'
import { sizeText, topSummary, topTable } from '../../src/control/cli/top-table.js'
import { resolveName } from '../../src/control/names.js'
import { printable } from '../../src/control/printable.js'
import { FakeGuard } from './fakes.js'

test('uptime reads as Python’s timedelta does, which is what supervisorctl prints', () => {
  const rows: [ms: number, text: string][] = [
    [0, '0:00:00'],
    [999, '0:00:00'],
    [61_000, '0:01:01'],
    [36_000_000, '10:00:00'],
    [86_399_999, '23:59:59'],
    [86_400_000, '1 day, 0:00:00'],
    [2 * 86_400_000 + 3_723_000, '2 days, 1:02:03'],
    [-5, '0:00:00'],
  ]
  for (const [ms, text] of rows) assert.equal(uptimeText(ms), text)
})

test('the time of a stop is `Mon DD HH:MM AM`', () => {
  const rows: [date: Date, text: string][] = [
    [new Date(2026, 0, 5, 0, 7), 'Jan 05 12:07 AM'],
    [new Date(2026, 10, 25, 12, 0), 'Nov 25 12:00 PM'],
    [new Date(2026, 5, 9, 23, 59), 'Jun 09 11:59 PM'],
  ]
  for (const [date, text] of rows) assert.equal(clockText(date), text)
})

test('columns widen for the longest name', () => {
  const long = `g:${'n'.repeat(40)}`
  const guard = new FakeGuard().running('a', { pid: 1 }).running(long, { pid: 2 })
  assert.deepEqual(statusLines(guard.instances), [
    `${'a'.padEnd(45)}RUNNING   pid 1, uptime 0:00:05`,
    `${long.padEnd(45)}RUNNING   pid 2, uptime 0:00:05`,
  ])
})

test('STARTING and STOPPING have no description, an EXITED one the time of its end', () => {
  const guard = new FakeGuard()
    .program('a', { state: 'STARTING', pid: 5 })
    .program('b', { state: 'STOPPING', pid: 6 })
    .program('c', { state: 'EXITED', startedAtMs: 1, stoppedAtMs: new Date(2026, 0, 5, 0, 7).getTime() })
  assert.deepEqual(statusLines(guard.instances), [
    `${'a'.padEnd(33)}STARTING  `,
    `${'b'.padEnd(33)}STOPPING  `,
    `${'c'.padEnd(33)}EXITED    Jan 05 12:07 AM`,
  ])
})

test('sizes have one decimal from a kilobyte on', () => {
  const rows: [bytes: number, text: string][] = [
    [0, '0 B'],
    [1023, '1023 B'],
    [1024, '1.0 KB'],
    [1_572_864, '1.5 MB'],
    [80 * 2 ** 30, '80.0 GB'],
    [5000 * 2 ** 40, '5000.0 TB'],
  ]
  for (const [bytes, text] of rows) assert.equal(sizeText(bytes), text)
})

test('top sums what it shows and cuts its lines at the window', () => {
  const guard = new FakeGuard().running('web').program('idle', { reason: 'esc \u001b[2J' })
  const usage = [
    { id: 'web', pid: 1, processes: 1, cpuPercent: 50, rssBytes: 1024 },
    { id: 'other', pid: 2, processes: 1, cpuPercent: 9, rssBytes: 1 },
  ]
  assert.equal(topSummary(guard.instances, usage), '1 of 2 running, CPU 50.0%, memory 1.0 KB')
  const lines = topTable(guard.instances, usage, 20)
  assert.ok(lines.every(line => line.length <= 20 && !line.includes('\u001b')))
})

test('control characters, C1 and the bidirectional overrides are shown, everything else is left alone', () => {
  const rows: [text: string, shown: string][] = [
    ['plain ä 漢 😀', 'plain ä 漢 😀'],
    ['a\tb', 'a b'],
    ['\u001b]0;title\u0007', '\\x1b]0;title\\x07'],
    ['\u009b31m\u007f', '\\x9b31m\\x7f'],
    ['\u202eevil\u2066', '\\u202eevil\\u2066'],
    ['two\r\nlines', 'two\\x0d\\x0alines'],
  ]
  for (const [text, shown] of rows) assert.equal(printable(text), shown)
})

test('supervisorctl’s name forms', () => {
  const { instances } = new FakeGuard().running('web').running('pool:pool_00').running('pool:pool_01').running('pool2:x:y')
  const rows: [argument: string, answer: object][] = [
    ['web', { kind: 'process', name: 'web', id: 'web' }],
    ['web:web', { kind: 'process', name: 'web', id: 'web' }],
    ['web:*', { kind: 'group', name: 'web', ids: ['web'] }],
    ['pool:*', { kind: 'group', name: 'pool', ids: ['pool:pool_00', 'pool:pool_01'] }],
    ['pool:', { kind: 'group', name: 'pool', ids: ['pool:pool_00', 'pool:pool_01'] }],
    ['pool:pool_01', { kind: 'process', name: 'pool:pool_01', id: 'pool:pool_01' }],
    ['pool', { kind: 'none', what: 'process', name: 'pool', hint: 'pool is a group: say pool:*' }],
    ['pool_01', { kind: 'none', what: 'process', name: 'pool_01', hint: 'did you mean pool:pool_01?' }],
    ['nope:*', { kind: 'none', what: 'group', name: 'nope', hint: '' }],
    ['pool:nope', { kind: 'none', what: 'process', name: 'pool:nope', hint: '' }],
    ['', { kind: 'none', what: 'process', name: '', hint: '' }],
    [':', { kind: 'none', what: 'group', name: '', hint: '' }],
    ['__proto__', { kind: 'none', what: 'process', name: '__proto__', hint: '' }],
  ]
  for (const [argument, answer] of rows) assert.deepEqual(resolveName(argument, instances), answer, argument)
})
