// The end of a log, and following it through rotations: no gap, no repeat, or a line that says so.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { appendFileSync, mkdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { LogCursor, type Piece, ROTATED_AWAY, TRUNCATED } from '../../src/control/log-cursor.js'
import { followLog, tailLog } from '../../src/control/log-reader.js'
import { logFile, temporaryDirectory, until } from './fakes.js'
import { RotatingWriter } from './rotating-writer.js'

const WRITER = fileURLToPath(new URL('./log-writer.js', import.meta.url))
const WHOLE = Number.MAX_SAFE_INTEGER

async function tailText(path: string, bytes: number, align: 'byte' | 'line' = 'byte'): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of await tailLog(path, { bytes, align })) parts.push(part)
  return Buffer.concat(parts).toString('latin1')
}

test('tail gives the last N bytes as they are, from a line’s beginning where asked', async t => {
  const directory = temporaryDirectory(t)
  const rows: [content: string, bytes: number, byByte: string, byLine: string][] = [
    ['', 10, '', ''],
    ['one\ntwo\n', 100, 'one\ntwo\n', 'one\ntwo\n'],
    ['one\ntwo\n', 8, 'one\ntwo\n', 'one\ntwo\n'],
    ['one\ntwo\n', 4, 'two\n', 'two\n'],
    ['one\ntwo\n', 5, '\ntwo\n', 'two\n'],
    ['one\ntwo\n', 6, 'e\ntwo\n', 'two\n'],
    ['one\ntwo', 2, 'wo', 'wo'],
    ['one\ntwo\n', 0, '', ''],
    ['\x00\xff\xfe\n\x80', 3, '\xfe\n\x80', '\x80'],
  ]
  for (const [content, bytes, byByte, byLine] of rows) {
    const path = logFile(directory, 'log', Buffer.from(content, 'latin1'))
    assert.equal(await tailText(path, bytes), byByte, JSON.stringify([content, bytes]))
    assert.equal(await tailText(path, bytes, 'line'), byLine, JSON.stringify([content, bytes, 'line']))
  }
  const big = logFile(directory, 'big', 'y'.repeat(300_000))
  assert.equal((await tailText(big, 200_000)).length, 200_000)
  await assert.rejects(tailLog(join(directory, 'absent'), { bytes: 1, align: 'byte' }), { code: 'NO_FILE' })
  await assert.rejects(tailLog(join(directory, 'absent', 'deeper'), { bytes: 1, align: 'byte' }), { code: 'NO_FILE' })
  await assert.rejects(tailLog('/dev/zero', { bytes: 1, align: 'byte' }), { code: 'NO_FILE' })
})

/** A follower that gathers what it is given. */
function follow(
  t: TestContext,
  path: string,
  bytes = WHOLE,
): { text(): string; size(): number; gaps: string[]; stop(): Promise<void>; failed: unknown[] } {
  const ending = new AbortController()
  const parts: Buffer[] = []
  const gaps: string[] = []
  const failed: unknown[] = []
  let size = 0
  const done = (async () => {
    for await (const piece of followLog(path, { bytes, signal: ending.signal })) {
      if (piece.kind === 'gap') gaps.push(piece.text)
      else {
        parts.push(piece.bytes)
        size += piece.bytes.length
      }
    }
  })().catch(error => failed.push(error))
  const stop = async (): Promise<void> => {
    ending.abort()
    await done
  }
  t.after(stop)
  return { text: () => Buffer.concat(parts).toString('latin1'), size: () => size, gaps, stop, failed }
}

test('a log that is not there yet, nor its directory, is waited for and read whole', async t => {
  const directory = join(temporaryDirectory(t), 'later')
  const path = join(directory, 'log')
  const follower = follow(t, path, 3)
  mkdirSync(directory)
  writeFileSync(path, 'one\ntwo\n')
  await until(() => follower.text() === 'one\ntwo\n', 'both lines')
  appendFileSync(path, 'three')
  await until(() => follower.text() === 'one\ntwo\nthree', 'the third')
  assert.deepEqual(follower.gaps, [])
})

test('following begins N bytes before the end and goes on through rotations', async t => {
  const path = join(temporaryDirectory(t), 'log')
  const writer = new RotatingWriter({ path, maxBytes: 1000, backups: 3 })
  writer.write('before\nlast\n')
  const follower = follow(t, path, 5)
  await until(() => follower.text() === 'last\n', 'the end')
  for (let number = 0; number < 4; number++) {
    writer.write(`line ${number}\n`)
    writer.rotate()
    await until(() => follower.text().endsWith(`line ${number}\n`), `line ${number}`)
  }
  writer.write('end\n')
  await until(() => follower.text().endsWith('end\n'), 'the last line')
  writer.close()
  assert.equal(follower.text(), 'last\nline 0\nline 1\nline 2\nline 3\nend\n')
  assert.deepEqual(follower.gaps, [])
})

test('a reader several rotations behind catches up without a gap', async t => {
  const path = join(temporaryDirectory(t), 'log')
  const writer = new RotatingWriter({ path, maxBytes: 50, backups: 10 })
  writer.write('line 0\n')
  const cursor = new LogCursor(path, { bytes: WHOLE, align: 'byte' })
  t.after(() => cursor.close())
  const first = await cursor.read()
  for (let number = 1; number < 60; number++) writer.write(`line ${number}\n`)
  writer.close()
  assert.ok(writer.rotations >= 8 && writer.rotations <= 10, `${writer.rotations} rotations`)
  const pieces = [first!, ...(await readAll(cursor))]
  assert.equal(textOf(pieces), Array.from({ length: 60 }, (_, number) => `line ${number}\n`).join(''))
  assert.ok(pieces.every(piece => piece.kind === 'bytes'))
})

test('more rotations than backups while nobody read: the reader is told, and goes on with the oldest there is', async t => {
  const path = join(temporaryDirectory(t), 'log')
  const writer = new RotatingWriter({ path, maxBytes: 1000, backups: 2 })
  writer.write('read\n')
  const cursor = new LogCursor(path, { bytes: WHOLE, align: 'byte' })
  t.after(() => cursor.close())
  await cursor.read()
  for (const line of ['1\n', '2\n', '3\n', '4\n']) {
    writer.rotate()
    writer.write(line)
  }
  writer.close()
  assert.deepEqual(
    (await readAll(cursor)).map(piece => (piece.kind === 'gap' ? piece.text : piece.bytes.toString())),
    [ROTATED_AWAY, '2\n', '3\n', '4\n'],
  )
})

test('a backup removed by hand between two others is a gap that is told', async t => {
  const path = join(temporaryDirectory(t), 'log')
  const writer = new RotatingWriter({ path, maxBytes: 1000, backups: 5 })
  writer.write('0\n')
  const cursor = new LogCursor(path, { bytes: WHOLE, align: 'byte' })
  t.after(() => cursor.close())
  await cursor.read()
  for (const line of ['1\n', '2\n']) {
    writer.rotate()
    writer.write(line)
  }
  writer.close()
  rmSync(`${path}.1`)
  assert.deepEqual(
    (await readAll(cursor)).map(piece => (piece.kind === 'gap' ? piece.text : piece.bytes.toString())),
    [ROTATED_AWAY, '2\n'],
  )
})

test('a truncated log is told and read from its beginning, also where it has grown beyond the old place again', async t => {
  const directory = temporaryDirectory(t)
  const rows: [name: string, after: string][] = [
    ['shorter', 'new\n'],
    ['same size', 'new line\n'],
    ['longer', `new line that is longer than the old one was\n`],
  ]
  for (const [name, after] of rows) {
    const path = logFile(directory, name, 'old line\n')
    const cursor = new LogCursor(path, { bytes: WHOLE, align: 'byte' })
    assert.equal(textOf(await readAll(cursor)), 'old line\n')
    truncateSync(path)
    appendFileSync(path, after)
    const pieces = await readAll(cursor)
    await cursor.close()
    assert.deepEqual(pieces[0], { kind: 'gap', text: TRUNCATED }, name)
    assert.equal(textOf(pieces), after, name)
  }
})

test('a log whose directory was removed and made anew is found again', async t => {
  const directory = join(temporaryDirectory(t), 'logs')
  mkdirSync(directory)
  const path = logFile(directory, 'log', 'one\n')
  const follower = follow(t, path)
  await until(() => follower.text() === 'one\n', 'the first')
  rmSync(directory, { recursive: true })
  mkdirSync(directory)
  writeFileSync(path, 'two\n')
  await until(() => follower.text() === 'one\ntwo\n', 'the second')
  renameSync(path, `${path}.1`)
  writeFileSync(path, 'three\n')
  await until(() => follower.text() === 'one\ntwo\nthree\n', 'the third')
  assert.deepEqual(follower.gaps, [ROTATED_AWAY], 'a removed log may have had more in it')
})

test('under load every line comes exactly once through hundreds of rotations', async t => {
  const path = join(temporaryDirectory(t), 'log')
  const follower = follow(t, path)
  const lines = 60_000
  // As many backups as there are rotations: a reader that a busy machine lets wait must not lose the race.
  const rotations = await write({ path, lines, maxBytes: 20_000, backups: 200, linesPerMs: 30 })
  await until(() => follower.size() >= sizeOf(lines), 'all bytes')
  await follower.stop()
  assert.deepEqual(follower.failed, [])
  assert.ok(rotations > 100 && rotations <= 200, `${rotations} rotations`)
  assert.deepEqual(follower.gaps, [])
  assertNumbered(follower.text(), lines)
})

test('a slow taker holds the reader back: what was not taken is told as a gap, never doubled or torn', async t => {
  const path = join(temporaryDirectory(t), 'log')
  const writer = new RotatingWriter({ path, maxBytes: 10_000, backups: 2 })
  const ending = new AbortController()
  const pieces: Piece[] = []
  let number = 0
  const line = (): string => `${String(number++).padStart(8, '0')} ${'z'.repeat(80)}\n`
  writer.write(line())
  for await (const piece of followLog(path, { bytes: WHOLE, signal: ending.signal })) {
    pieces.push(piece)
    if (number > 4000) ending.abort()
    // Each piece taken, 50 kB are written: the pull alone decides when the next read comes.
    for (let more = 0; more < 550; more++) writer.write(line())
  }
  writer.close()
  assert.ok(pieces.some(piece => piece.kind === 'gap'))
  const numbers = textOf(pieces)
    .split('\n')
    .filter(Boolean)
    .map(text => {
      assert.match(text, /^\d{8} z{80}$/)
      return Number(text.slice(0, 8))
    })
  for (let place = 1; place < numbers.length; place++) assert.ok(numbers[place]! > numbers[place - 1]!, 'in order and once')
})

test('a log that is truncated at each rotation (0 backups) never repeats a line and tells each gap', async t => {
  const path = join(temporaryDirectory(t), 'log')
  const follower = follow(t, path)
  const lines = 20_000
  await write({ path, lines, maxBytes: 30_000, backups: 0, linesPerMs: 20 })
  await until(() => follower.text().includes(`${String(lines - 1).padStart(8, '0')} `), 'the last line')
  await follower.stop()
  assert.ok(follower.gaps.length > 0 && follower.gaps.every(gap => gap === TRUNCATED))
  const numbers = follower
    .text()
    .split('\n')
    .filter(text => /^\d{8} x*$/.test(text))
    .map(text => Number(text.slice(0, 8)))
  assert.equal(new Set(numbers).size, numbers.length, 'no line twice')
})

async function write(work: { path: string; lines: number; maxBytes: number; backups: number; linesPerMs: number }): Promise<number> {
  const words = [WRITER, work.path, work.lines, work.maxBytes, work.backups, work.linesPerMs].map(String)
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  child.stdout.on('data', data => {
    out += data
  })
  const exit = await new Promise(resolve => child.once('close', resolve))
  assert.equal(exit, 0)
  return Number(out)
}

async function readAll(cursor: LogCursor): Promise<Piece[]> {
  const pieces: Piece[] = []
  for (let piece = await cursor.read(); piece; piece = await cursor.read()) pieces.push(piece)
  return pieces
}

function textOf(pieces: Piece[]): string {
  return pieces.map(piece => (piece.kind === 'bytes' ? piece.bytes.toString('latin1') : '')).join('')
}

function sizeOf(lines: number): number {
  let size = 0
  for (let number = 0; number < lines; number++) size += 10 + (number % 90)
  return size
}

function assertNumbered(text: string, lines: number): void {
  const got = text.split('\n')
  assert.equal(got.pop(), '', 'the last line has its end')
  assert.equal(got.length, lines)
  for (let number = 0; number < lines; number++) {
    const wanted = `${String(number).padStart(8, '0')} ${'x'.repeat(number % 90)}`
    if (got[number] !== wanted) assert.equal(got[number], wanted)
  }
}
