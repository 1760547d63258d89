// Several logs as one stream of lines: whole lines, in the order written, through rotations and new instances.
import assert from 'node:assert/strict'
import { appendFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { LineSplitter, MAX_LINE_BYTES } from '../../src/control/log-lines.js'
import { followMerged, type LogSource, type MergedLine, tailMerged } from '../../src/control/log-merge.js'
import { logFile, temporaryDirectory, until } from './fakes.js'
import { RotatingWriter } from './rotating-writer.js'

function follow(t: TestContext, sources: () => LogSource[], bytes = 1000): { lines: string[]; stop(): Promise<void> } {
  const ending = new AbortController()
  const lines: string[] = []
  const done = (async () => {
    for await (const line of followMerged(sources, { bytes, signal: ending.signal })) lines.push(textOf(line))
  })()
  const stop = async (): Promise<void> => {
    ending.abort()
    await done
  }
  t.after(stop)
  return { lines, stop }
}

function textOf(line: MergedLine): string {
  return `${line.id}/${line.stream} ${'line' in line ? line.line.toString() : `!${line.gap}`}`
}

test('lines come out whole whatever the pieces they come in, split UTF-8 included', () => {
  const rows: [pieces: string[], lines: string[], rest: string | null][] = [
    [[''], [], null],
    [['a\n'], ['a'], null],
    [['a', 'b\nc', '\n\n', 'd'], ['ab', 'c', ''], 'd'],
    [['a\r\nb\r\n'], ['a\r', 'b\r'], null],
  ]
  for (const [pieces, lines, rest] of rows) {
    const splitter = new LineSplitter()
    const got = pieces.flatMap(piece => splitter.push(Buffer.from(piece))).map(String)
    assert.deepEqual([got, splitter.flush()?.toString() ?? null], [lines, rest], JSON.stringify(pieces))
    assert.equal(splitter.isHolding, false)
  }
  const bytes = Buffer.from('häß€\n')
  const splitter = new LineSplitter()
  const lines = [...bytes].flatMap(byte => splitter.push(Buffer.from([byte])))
  assert.deepEqual(lines.map(String), ['häß€'])
})

test('a line without an end is cut at the limit and not held in memory', () => {
  const splitter = new LineSplitter()
  assert.equal(splitter.push(Buffer.alloc(MAX_LINE_BYTES - 1, 'x')).length, 0)
  assert.deepEqual(
    splitter.push(Buffer.from('xy')).map(line => line.length),
    [MAX_LINE_BYTES + 1],
  )
  assert.equal(splitter.flush(), null)
})

test('without following: the last whole lines of each log, the one written to last at the end', async t => {
  const directory = temporaryDirectory(t)
  const later = { id: 'later', stream: 'stdout', path: join(directory, 'later') } as const
  const early = { id: 'early', stream: 'stderr', path: logFile(directory, 'early', 'cut here\nkept\nno end') } as const
  await until(() => {
    logFile(directory, 'later', 'x\n')
    return isNewer(later.path, early.path)
  }, 'a later file time')
  const lines: string[] = []
  for await (const line of tailMerged([later, early, { ...early, path: join(directory, 'absent') }], 14)) lines.push(textOf(line))
  assert.deepEqual(lines, ['early/stderr kept', 'early/stderr no end', 'later/stdout x'])
})

function isNewer(a: string, b: string): boolean {
  return statSync(a).mtimeMs > statSync(b).mtimeMs
}

test('lines of several logs come in the order they were written; in one burst each log’s lines stay together', async t => {
  const directory = temporaryDirectory(t)
  const sources = ['a', 'b', 'c'].map(id => ({ id, stream: 'stdout', path: logFile(directory, id, '') }) as const)
  const follower = follow(t, () => [...sources])
  // The last of the first round: the others have been looked at then.
  appendFileSync(sources[2]!.path, 'ready\n')
  await until(() => follower.lines.length === 1, 'the follower is at work')
  const wanted = ['c/stdout ready']
  for (let number = 0; number < 60; number++) {
    const source = sources[(number * 7) % 3]!
    appendFileSync(source.path, `line ${number}\n`)
    wanted.push(`${source.id}/stdout line ${number}`)
    // Nobody records where a second line of one log falls among others written before the reader could look: give it the chance.
    if (number % 3 === 2) await until(() => follower.lines.length === wanted.length, `line ${number}`)
  }
  await until(() => follower.lines.length === wanted.length, 'all lines')
  assert.deepEqual(follower.lines, wanted)
})

test('rotations of several logs at once lose and double nothing', async t => {
  const directory = temporaryDirectory(t)
  const writers = ['a', 'b'].map(id => new RotatingWriter({ path: join(directory, id), maxBytes: 4000, backups: 20 }))
  const follower = follow(t, () => ['a', 'b'].map(id => ({ id, stream: 'stdout', path: join(directory, id) }) as const))
  const count = 6000
  for (let number = 0; number < count; number++) {
    for (const writer of writers) writer.write(`line ${number}\n`)
    if (number % 100 === 99) await until(() => follower.lines.length === (number + 1) * 2, `line ${number}`)
  }
  assert.ok(writers.every(writer => writer.rotations >= 14))
  for (const id of ['a', 'b']) {
    assert.deepEqual(
      follower.lines.filter(line => line.startsWith(id)),
      Array.from({ length: count }, (_, number) => `${id}/stdout line ${number}`),
    )
  }
  for (const writer of writers) writer.close()
})

test('an instance that is added while following is followed from its first line', async t => {
  const directory = temporaryDirectory(t)
  const sources: LogSource[] = [{ id: 'old', stream: 'stdout', path: logFile(directory, 'old', 'old line\n') }]
  const follower = follow(t, () => sources, 0)
  const path = join(directory, 'new')
  appendFileSync(path, 'first\n')
  sources.push({ id: 'new', stream: 'stderr', path })
  await until(() => follower.lines.length > 0, 'the new one’s line')
  assert.deepEqual(follower.lines, ['new/stderr first'])
})

test('a prompt without an end of line is shown after a while', async t => {
  const directory = temporaryDirectory(t)
  const path = logFile(directory, 'log', '')
  const follower = follow(t, () => [{ id: 'a', stream: 'stdout', path }])
  appendFileSync(path, 'password: ')
  await until(() => follower.lines.length > 0, 'the prompt')
  appendFileSync(path, 'ok\n')
  await until(() => follower.lines.length > 1, 'the rest')
  assert.deepEqual(follower.lines, ['a/stdout password: ', 'a/stdout ok'])
})

test('what is no regular file is passed over', async t => {
  const directory = temporaryDirectory(t)
  const path = logFile(directory, 'log', 'one\n')
  const follower = follow(t, () => [
    { id: 'null', stream: 'stdout', path: '/dev/null' },
    { id: 'a', stream: 'stdout', path },
  ])
  await until(() => follower.lines.length > 0, 'the other’s line')
  assert.deepEqual(follower.lines, ['a/stdout one'])
})
