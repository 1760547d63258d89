// The shim's wire format: what is sent, and that nothing malformed is believed.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeFrame, FRAME_MAX_BYTES, logFields, parseLine, runFields } from '../../src/supervisor/shim-frames.js'

const exit = {
  event: 'exited',
  pid: 7,
  code: 3,
  signal: null,
  core: false,
  user_ms: 1.5,
  system_ms: 0,
  max_rss_kb: 900,
  started_ms: 10.001,
  ended_ms: 20,
  started_at_ms: 1e12,
  ended_at_ms: 1e12 + 10,
}
const hello = {
  event: 'hello',
  version: 1,
  shim: 5,
  pid: 7,
  started_ms: 10,
  started_at_ms: 1e12,
  exit: null,
  lost: { stdout: 0, stderr: 4 },
}

test('a request is one netstring whose length counts bytes, not characters', () => {
  assert.equal(encodeFrame('run', 3, [['arg', 'ä']]).toString(), '15:run\0id=3\0arg=ä,')
  assert.throws(() => encodeFrame('run', 1, [['env', 'SECRET=a\0b']]), { name: 'RangeError', message: 'env: has a NUL byte' })
  const room = FRAME_MAX_BYTES - 'run\0id=1\0arg='.length
  assert.equal(encodeFrame('run', 1, [['arg', 'x'.repeat(room)]]).length, FRAME_MAX_BYTES + '2097152:,'.length)
  assert.throws(() => encodeFrame('run', 1, [['arg', 'x'.repeat(room + 1)]]), { name: 'RangeError', message: /^2097153 bytes/ })
})

test('only what was asked for is sent', () => {
  const bare = { argv: ['a', ''], environment: {}, directory: '/', user: null, umask: null, nice: null, oomScoreAdj: null, limits: {} }
  assert.deepEqual(runFields(bare), [
    ['dir', '/'],
    ['arg', 'a'],
    ['arg', ''],
  ])
  const full = {
    ...bare,
    environment: { A: 'b=c' },
    user: 'u',
    umask: 0o22,
    nice: -5,
    oomScoreAdj: 0,
    limits: { nofile: 9, core: 'infinity' as const },
  }
  assert.deepEqual(
    runFields(full)
      .slice(3)
      .map(([key, value]) => `${key}=${value}`),
    ['env=A=b=c', 'limit=nofile:9', 'limit=core:infinity', 'user=u', 'umask=18', 'nice=-5', 'oom=0'],
  )
  const log = { path: '/l', maxBytes: 5, backups: 2 }
  const joined = (logs: Parameters<typeof logFields>[0]) =>
    logFields(logs)
      .map(([key, value]) => `${key}=${value}`)
      .join(' ')
  assert.equal(joined({ stdout: log, stderr: 'stdout' }), 'stdout=/l stdout_max=5 stdout_backups=2 redirect=1')
  assert.equal(joined({ stdout: null, stderr: log }), 'stdout= stderr=/l stderr_max=5 stderr_backups=2')
})

test('well-formed lines become messages; an event of a later version is passed over', () => {
  const of = (value: unknown) => parseLine(JSON.stringify(value))
  assert.deepEqual(of({ reply: 4, ok: true, pid: 9 }), { kind: 'reply', id: 4, failure: null, pid: 9, hello: null })
  assert.deepEqual(of({ reply: 4, ok: false, stage: 'exec', errno: 2, error: 'No' }), {
    kind: 'reply',
    id: 4,
    failure: { stage: 'exec', errno: 2, error: 'No' },
    pid: 0,
    hello: null,
  })
  const message = of({ ...hello, exit })
  assert.ok(message?.kind === 'hello')
  assert.deepEqual(
    [message.hello.shim, message.hello.lost.stderr, message.hello.exit?.code, message.hello.exit?.startedMs],
    [5, 4, 3, 10.001],
  )
  assert.equal(of({ event: 'danced', pid: 'x' }), null)
})

test('anything malformed is refused with the field’s name', () => {
  const cases: [line: unknown, message: RegExp][] = [
    ['', /not JSON/],
    ['{', /not JSON/],
    ['[]', /line: not an object/],
    ['null', /line: not an object/],
    ['7', /line: not an object/],
    ['{}', /event: not a short text/],
    [{ reply: '4', ok: true }, /reply: not a number/],
    [{ reply: 1.5, ok: true }, /reply: not a whole number/],
    [{ reply: 1, ok: false }, /stage/],
    [{ reply: 1, ok: false, stage: 's', errno: 1, error: 'x'.repeat(1001) }, /error: not a short text/],
    [{ reply: 1, ok: true, pid: -1 }, /pid/],
    [{ reply: 1, ok: true, hello: [] }, /hello: not an object/],
    [{ ...hello, version: 2 }, /protocol version 2, not 1/],
    [{ ...hello, pid: '7' }, /pid/],
    [{ ...hello, lost: null }, /lost: not an object/],
    [{ ...hello, lost: { stdout: 0 } }, /stderr/],
    [{ ...hello, exit: 'gone' }, /exit: not an object/],
    [{ ...exit, signal: 'TERM' }, /exactly one of code and signal/],
    [{ ...exit, code: null }, /exactly one of code and signal/],
    [{ ...exit, code: null, signal: '\u001b[2J' }, /signal has no signal name/],
    [{ ...exit, user_ms: null }, /user_ms/],
    [{ ...exit, ended_ms: -1 }, /ended_ms/],
    [{ event: 'rotated', stream: 'stdin' }, /stream/],
    [{ event: 'log_lost', stream: 'stdout', bytes: 1e300, error: '' }, /bytes: not a whole number/],
  ]
  for (const [line, message] of cases) {
    const text = typeof line === 'string' ? line : JSON.stringify(line)
    assert.throws(() => parseLine(text), { name: 'TypeError', message }, text)
  }
})
