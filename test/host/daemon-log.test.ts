// The daemon's own log: lines land, move and rotate, and neither a reader that leaves nor a disk that refuses ends the daemon.
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { openDaemonLog } from '../../src/host/daemon-log.js'

function folder(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'guard-daemon-log-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

const unbounded = (path: string) => ({ path, maxBytes: 0, backups: 0 })
const messages = (path: string): string[] =>
  readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map(line => line.slice(24))

test('a line has local time, level and text, and no line end of its own', async t => {
  const path = join(folder(t), 'deep/guard.log')
  const log = openDaemonLog(unbounded(path), null)
  log.write('WARN', 'two\nlines')
  await log.close()
  assert.match(readFileSync(path, 'utf8'), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARN two\\nlines\n$/)
})

test('a reader of the echo that has left costs the echo, not the log', async t => {
  const path = join(folder(t), 'guard.log')
  let written = 0
  const gone = new Writable({
    write(_chunk, _encoding, callback) {
      written++
      callback(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
    },
  })
  const log = openDaemonLog(unbounded(path), gone)
  log.write('INFO', 'one')
  await new Promise(resolve => setImmediate(resolve))
  log.write('INFO', 'two')
  await log.close()
  assert.deepEqual(messages(path), ['INFO one', 'INFO two'])
  assert.equal(written, 1)
})

test('after a move lines go to the new file, those before it to the old one', async t => {
  const dir = folder(t)
  const log = openDaemonLog(unbounded(join(dir, 'old.log')), null)
  log.write('INFO', 'before')
  log.move(unbounded(join(dir, 'sub/new.log')))
  log.write('INFO', 'after')
  await log.close()
  assert.deepEqual(messages(join(dir, 'old.log')), ['INFO before'])
  assert.deepEqual(messages(join(dir, 'sub/new.log')), ['INFO after'])
})

test('after a reopen lines go to a new file of the same name', async t => {
  const path = join(folder(t), 'guard.log')
  const log = openDaemonLog(unbounded(path), null)
  log.write('INFO', 'before')
  await log.close()
  const again = openDaemonLog(unbounded(path), null)
  renameSync(path, `${path}.moved`)
  again.reopen()
  again.write('INFO', 'after')
  await again.close()
  assert.deepEqual(messages(`${path}.moved`), ['INFO before'])
  assert.deepEqual(messages(path), ['INFO after'])
})

test('files rotate at their size, and no more than backups are kept', async t => {
  const dir = folder(t)
  for (let round = 0; round < 12; round++) {
    const log = openDaemonLog({ path: join(dir, 'guard.log'), maxBytes: 200, backups: 2 }, null)
    log.write('INFO', `round ${round} ${'x'.repeat(80)}`)
    await log.close()
  }
  assert.ok(
    readdirSync(dir).every(name => ['guard.log', 'guard.log.1', 'guard.log.2'].includes(name)),
    String(readdirSync(dir)),
  )
  assert.ok(readdirSync(dir).includes('guard.log.2'))
})

test('a path that cannot be opened is no end: the first line after it can be lands', async t => {
  const dir = folder(t)
  const path = join(dir, 'guard.log')
  mkdirSync(path)
  const log = openDaemonLog(unbounded(path), null)
  log.write('INFO', 'lost')
  log.reopen()
  await new Promise(resolve => setTimeout(resolve, 20))
  rmSync(path, { recursive: true })
  log.write('INFO', 'kept')
  await log.close()
  assert.equal(messages(path).at(-1), 'INFO kept')
})
