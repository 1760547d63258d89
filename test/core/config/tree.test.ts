// The loader against anything at all: it never throws, never takes long, and stays quick with many programs.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readTree } from '../../../src/core/config/tree.js'
import { configOf, problemsOf } from './fake-world.js'

const example = readFileSync(fileURLToPath(new URL('../../../../config/guard.yaml', import.meta.url)), 'utf8')

/** mulberry32 */
function dice(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

test('400 damaged examples load or say why, whatever the damage', () => {
  const seed = 20_261_122
  const random = dice(seed)
  const pieces = [
    '{',
    '}',
    '[',
    ']',
    ':',
    ': ',
    '\n',
    '\t',
    ' ',
    '- ',
    '#',
    '"',
    "'",
    '&a ',
    '*a',
    '!x ',
    '|\n',
    '>\n',
    '? ',
    '---\n',
    '${',
    '$${',
    '}',
    '\0',
    '\u{1f600}',
    'null',
    '1e999',
    '%',
    '@',
  ]
  let refused = 0
  for (let round = 0; round < 400; round++) {
    let text = example
    for (let edit = 0; edit <= random() * 4; edit++) {
      const at = Math.floor(random() * text.length)
      const cut = Math.floor(random() * 12)
      text = text.slice(0, at) + pieces[Math.floor(random() * pieces.length)] + text.slice(at + cut)
    }
    try {
      const problems = problemsOf(text)
      if (problems.length > 0) refused++
      for (const problem of problems) assert.match(problem, /^guard\.yaml(:\d+:\d+)?: \S/)
    } catch (error) {
      assert.fail(`seed ${seed}, round ${round}: ${String(error)}\n${text}`)
    }
  }
  assert.ok(refused > 120, `${refused} refused`)
})

test('texts made to exhaust the reader are refused within three seconds of CPU time', () => {
  const bomb = `a: &a [${'x,'.repeat(99)}x]\n${'abcdefg'
    .split('')
    .slice(1)
    .map((name, index) => `${name}: &${name} [${`*${'abcdefg'[index]},`.repeat(99)}x]\n`)
    .join('')}`
  const rows: [name: string, text: string, problem: string][] = [
    ['brackets', '['.repeat(500_000), 'guard.yaml:1:101: lists and maps nest more than 100 deep'],
    ['braces', '{a: '.repeat(250_000), 'guard.yaml:1:401: lists and maps nest more than 100 deep'],
    ['dashes', '- '.repeat(500_000), 'guard.yaml:1:201: lists and maps nest more than 100 deep'],
    ['question marks', '? '.repeat(500_000), 'guard.yaml:1:201: lists and maps nest more than 100 deep'],
    [
      'indentation',
      Array.from({ length: 1000 }, (_, depth) => `${' '.repeat(depth)}a:\n`).join(''),
      'guard.yaml:101:101: lists and maps nest more than 100 deep',
    ],
    ['aliases', bomb, 'guard.yaml:1:16: the file holds more than 50000 values (aliases are counted each time they are used)'],
  ]
  for (const [name, text, problem] of rows) {
    const began = cpuMs()
    assert.deepEqual(problemsOf(text).slice(0, 1), [problem], name)
    assert.ok(cpuMs() - began < 3000, `${name} took ${cpuMs() - began} ms`)
  }
})

/** CPU time of this process: what others on the machine do does not count. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

test('a hundred levels are read, and the 101st is not', () => {
  const nested = (depth: number): string => `a: ${'['.repeat(depth)}${']'.repeat(depth)}`
  assert.deepEqual(readTree(nested(100), '/f').problems, [])
  assert.equal(readTree(nested(101), '/f').problems.length, 1)
})

test('every value knows where it stands, across Windows line ends and a byte order mark', () => {
  const { root } = readTree('\uFEFFa:\r\n  - 1\r\n  - {b: "x"}\r\n', '/f')
  assert.ok(root?.kind === 'map')
  const list = root.entries.get('a')?.node
  assert.ok(list?.kind === 'list')
  assert.deepEqual(
    list.items.map(({ place }) => [place.line, place.column]),
    [
      [2, 5],
      [3, 5],
    ],
  )
})

test('200 programs load quickly', t => {
  const program = (index: number) =>
    `  p${index}:\n    command: "run --port \${port} --name '\${program} \${num}'"\n    port: ${30_000 + index}\n    environment: {A: "\${here}", B: 1}\n    probe: {tcp: {}}\n    depends_on: ${index === 0 ? '{}' : `{p${index - 1}: ready}`}\n`
  const text = `programs:\n${Array.from({ length: 200 }, (_, index) => program(index)).join('')}routes:\n${Array.from({ length: 200 }, (_, index) => `  - {prefix: /p${index}/, to: p${index}}\n`).join('')}`
  const times = Array.from({ length: 5 }, () => {
    const began = cpuMs()
    assert.equal(configOf(text).instances.length, 200)
    return cpuMs() - began
  })
  t.diagnostic(`200 programs and 200 routes: first ${times[0]?.toFixed(0)} ms, best ${Math.min(...times).toFixed(0)} ms`)
  assert.ok(Math.min(...times) < 1000)
})

test('5000 instances are loaded, and one more is refused', () => {
  const text = `programs:\n${'abcde'
    .split('')
    .map(name => `  ${name}: {command: x, numprocs: 1000}\n`)
    .join('')}`
  assert.equal(configOf(text).instances.length, 5000)
  assert.deepEqual(problemsOf(`${text}  f: {command: x}\n`), ['guard.yaml:7:3: the instances come to 5001; expected at most 5000 in all'])
})
