// guardctl's commands that go on: bytes as they are, Ctrl-C, a reader that leaves, a daemon that goes.
import assert from 'node:assert/strict'
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { spawn } from 'node:child_process'
import { appendFileSync, renameSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { GuardEvent } from '../../src/core/events.js'
import { CLI, ended, FakeGuard, launch, logFile, type Ran, type Served, served, until } from './fakes.js'

interface Following {
  child: ChildProcessWithoutNullStreams
  out(): string
  bytes(): Buffer
  ran: Promise<Ran>
}

function start(t: TestContext, { socketPath }: Served, ...words: string[]): Following {
  const child = launch(['-s', `unix://${socketPath}`, ...words])
  t.after(() => void child.kill('SIGKILL'))
  const parts: Buffer[] = []
  child.stdout.on('data', data => parts.push(data))
  return { child, out: () => Buffer.concat(parts).toString(), bytes: () => Buffer.concat(parts), ran: ended(child) }
}

function guardWithLogs(): FakeGuard {
  return new FakeGuard().running('web').running('pool:pool_00').program('mute')
}

function giveLogs(guard: FakeGuard, directory: string): { web: string; pool: string } {
  const web = logFile(directory, 'web.log', 'old web\n')
  const pool = logFile(directory, 'pool.log', '')
  Object.assign(guard.instances[0]!.logs, { stdout: web, stderr: null })
  Object.assign(guard.instances[1]!.logs, { stdout: null, stderr: pool })
  return { web, pool }
}

test('tail passes bytes as they are: all 256 of them', async t => {
  const guard = guardWithLogs()
  const place = await served(t, guard)
  const every = Buffer.from(Array.from({ length: 256 }, (_, value) => value))
  writeFileSync(giveLogs(guard, place.directory).web, every)
  const following = start(t, place, 'tail', 'web')
  assert.equal((await following.ran).exit, 0)
  assert.deepEqual(following.bytes(), every)
  const last = start(t, place, 'tail', '-3', 'web')
  await last.ran
  assert.deepEqual(last.bytes(), every.subarray(253))
})

test('tail complains in supervisorctl’s words', async t => {
  const guard = guardWithLogs()
  const { guardctl, directory } = await served(t, guard)
  giveLogs(guard, directory)
  const rows: [words: string, stdout: string][] = [
    ['tail', 'Error: too few arguments\n'],
    ['tail -f', 'Error: tail requires process name\n'],
    ['tail a b c', 'Error: too many arguments\n'],
    ['tail web foo', "Error: bad channel 'foo'\n"],
    ['tail -x web', 'Error: bad argument -x\n'],
    ['tail nope', 'nope: ERROR (no such process name)\n'],
    ['tail web stderr', 'web: ERROR (no log file)\n'],
    ['tail mute', 'mute: ERROR (no log file)\n'],
    ['maintail', 'autodl-guard: ERROR (no log file)\n'],
    ['maintail x', 'Error: bad argument x\n'],
  ]
  for (const [words, stdout] of rows) {
    const ran = await guardctl(...words.split(' '))
    assert.deepEqual([ran.stdout, ran.exit], [stdout, 1], words)
  }
})

test('tail -f goes on through a rotation, and Ctrl-C ends it with 0', async t => {
  const guard = guardWithLogs()
  const place = await served(t, guard)
  const { web } = giveLogs(guard, place.directory)
  const following = start(t, place, 'tail', '-f', 'web')
  const head = '==> Press Ctrl-C to exit <==\n'
  await until(() => following.out() === `${head}old web\n`, 'the end of the log')
  renameSync(web, `${web}.1`)
  appendFileSync(web, 'new web\n')
  await until(() => following.out().endsWith('new web\n'), 'the new file')
  following.child.kill('SIGINT')
  const ran = await following.ran
  assert.deepEqual([following.out(), ran.stderr, ran.exit], [`${head}old web\nnew web\n\n`, '', 0])
})

test('maintail -f follows the daemon’s own log', async t => {
  const guard = guardWithLogs()
  const place = await served(t, guard)
  guard.mainLog = { ...guard.mainLog, path: logFile(place.directory, 'guard.log', 'up\n') }
  const following = start(t, place, 'maintail', '-f')
  await until(() => following.out().endsWith('up\n'), 'the line')
  following.child.kill('SIGINT')
  assert.equal((await following.ran).exit, 0)
})

test('logs -f merges, with the id before each line; control bytes pass as they are', async t => {
  const guard = guardWithLogs()
  const place = await served(t, guard)
  const { web, pool } = giveLogs(guard, place.directory)
  const following = start(t, place, 'logs', '-f')
  await until(() => following.out() === 'web | old web\n', 'the end of the log')
  appendFileSync(pool, 'from the pool \u001b[31m\u0007\n')
  await until(() => following.out().includes('pool'), 'the pool’s line')
  appendFileSync(web, Buffer.from([0x66, 0xff, 0x0a]))
  await until(() => following.bytes().includes(0xff), 'a byte that is no UTF-8')
  following.child.kill('SIGINT')
  const ran = await following.ran
  assert.equal(following.bytes().toString('latin1'), 'web | old web\npool:pool_00 | from the pool \u001b[31m\u0007\nweb          | f\xff\n')
  assert.deepEqual([ran.stderr, ran.exit], ['', 0])
})

test('logs takes names, and says which one is wrong', async t => {
  const guard = guardWithLogs()
  const { guardctl, directory } = await served(t, guard)
  const { pool } = giveLogs(guard, directory)
  appendFileSync(pool, 'p\n')
  assert.equal((await guardctl('logs', 'pool:*', 'pool:pool_00')).stdout, 'pool:pool_00 | p\n', 'named twice, shown once')
  assert.equal((await guardctl('logs', 'web', '--json')).stdout, '{"id":"web","stream":"stdout","text":"old web"}\n')
  const wrong = await guardctl('logs', 'web', 'nope')
  assert.deepEqual([wrong.stdout, wrong.exit], ['ERROR: no such process: nope\n', 1])
})

const STARTED: GuardEvent = {
  kind: 'state',
  atMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  id: 'web',
  from: 'STOPPED',
  to: 'STARTING',
  pid: 5,
  reason: '',
}
const SPOKE: GuardEvent = { kind: 'daemon', atMs: Date.UTC(2026, 0, 2, 3, 4, 5, 7), message: 'one\u001b[2Jline' }

test('events shows what happened lately, events -f what happens from now on', async t => {
  const guard = guardWithLogs()
  const place = await served(t, guard)
  guard.emit(STARTED)
  guard.emit(SPOKE)
  const past = launch(['-s', `unix://${place.socketPath}`, 'events'], { env: { TZ: 'UTC' } })
  assert.equal(
    (await ended(past)).stdout,
    '2026-01-02 03:04:05.006 INFO  web STOPPED → STARTING pid 5\n2026-01-02 03:04:05.007 INFO  one\\x1b[2Jline\n',
  )
  const following = start(t, place, 'events', '-f', '--json')
  // The kept ones do not come again; the first thing heard is what happens after the subscription.
  await until(() => {
    guard.emit(SPOKE)
    return following.out() !== ''
  }, 'an event')
  following.child.kill('SIGINT')
  assert.equal((await following.ran).exit, 0)
  assert.deepEqual(JSON.parse(following.out().split('\n')[0]!), SPOKE)
})

test('when the daemon ends, followers end with a word about it', async t => {
  const guard = guardWithLogs()
  const place = await served(t, guard)
  giveLogs(guard, place.directory)
  const following = start(t, place, 'logs', '-f')
  await until(() => following.out() !== '', 'the first line')
  await place.server.close()
  const ran = await following.ran
  assert.deepEqual([ran.stderr, ran.exit], ['the daemon has ended; so does this\n', 0])
})

test('a reader that leaves (| head) ends guardctl quietly, a follower at its next line', async t => {
  const guard = guardWithLogs()
  const place = await served(t, guard)
  const { web } = giveLogs(guard, place.directory)
  writeFileSync(web, 'x'.repeat(79).concat('\n').repeat(50_000))
  const rows = ['logs -f web', 'tail -f web', 'tail -4000000 web', 'logs -4000000 web', 'help', 'status']
  for (const words of rows) {
    const script = `"${process.execPath}" "${CLI}" -s "unix://${place.socketPath}" ${words} | head -1 >/dev/null; echo "\${PIPESTATUS[0]}"`
    const child = spawn('bash', ['-c', script])
    const writing = setInterval(() => appendFileSync(web, 'one more\n'), 50)
    t.after(() => clearInterval(writing))
    const ran = await ended(child)
    clearInterval(writing)
    // `mute` is STOPPED, which is status's 3 whoever reads.
    assert.deepEqual(ran, { stdout: words === 'status' ? '3\n' : '0\n', stderr: '', exit: 0 }, words)
  }
})

test('a follower that does not read costs no memory: the reader waits for it', async t => {
  const guard = guardWithLogs()
  const place = await served(t, guard)
  const { web } = giveLogs(guard, place.directory)
  writeFileSync(web, 'y'.repeat(1_000_000).concat('\n').repeat(60))
  const socket = connect(place.socketPath)
  t.after(() => socket.destroy())
  const before = process.memoryUsage.rss()
  socket.write('GET /api/tail?name=web&bytes=99999999&follow=yes HTTP/1.1\r\nhost: a\r\n\r\n')
  await new Promise(resolve => socket.once('readable', resolve))
  const told = await place.guardctl('status', 'web')
  assert.equal(told.exit, 0)
  assert.ok(process.memoryUsage.rss() - before < 30_000_000, 'not the 60 MB of the log')
})

test('top on a terminal refreshes until q, and gives the terminal back', async t => {
  const guard = guardWithLogs()
  const place = await served(t, guard)
  const command = `"${process.execPath}" "${CLI}" -s "unix://${place.socketPath}" top`
  // util-linux's script is the terminal: what it is told to type arrives as keys.
  const child = spawn('script', ['-qfec', command, '/dev/null'], { env: { ...process.env, TERM: 'xterm', LINES: '24', COLUMNS: '80' } })
  t.after(() => void child.kill('SIGKILL'))
  let out = ''
  child.stdout.on('data', data => {
    out += data
  })
  const closed = new Promise(resolve => child.once('close', resolve))
  await until(() => /web +RUNNING/.test(out), 'the first frame')
  guard.instances[0]!.restarts = 77
  await until(() => / 77 /.test(out), 'a later frame')
  child.stdin.write('q')
  assert.equal(await closed, 0)
  assert.ok(out.startsWith('\u001b[?1049h\u001b[?25l'), 'the other screen')
  assert.ok(out.endsWith('\u001b[?25h\u001b[?1049l'), 'and back, with the cursor')
})
