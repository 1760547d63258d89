// Word splitting as a POSIX shell does it; the expectations are what sh itself says for the rows without expansions.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { splitWords } from '../../../src/core/config/words.js'

const plain: [text: string, ...words: string[]][] = [
  ['', ...[]],
  [' \t\n ', ...[]],
  ['a', 'a'],
  ['a b', 'a', 'b'],
  ['  a \t b\nc ', 'a', 'b', 'c'],
  ["'a b'", 'a b'],
  ['"a b"', 'a b'],
  ["''", ''],
  ['"" x', '', 'x'],
  ["a''b", 'ab'],
  ["a'b c'd", 'ab cd'],
  ['a"b c"d', 'ab cd'],
  ["'a\"b'", 'a"b'],
  ['"a\'b"', "a'b"],
  ["'a\\b'", 'a\\b'],
  ['a\\ b', 'a b'],
  ['a\\\\b', 'a\\b'],
  ['a\\"b', 'a"b'],
  ['"a\\"b"', 'a"b'],
  ['"a\\\\b"', 'a\\b'],
  ['"a\\nb"', 'a\\nb'],
  ['"a\\ b"', 'a\\ b'],
  ['a\\\nb', 'ab'],
  ['"a\\\nb"', 'ab'],
  ["'a\nb'", 'a\nb'],
  ['--x="1 2" --y=3', '--x=1 2', '--y=3'],
  ['é "ü ß" 日本', 'é', 'ü ß', '日本'],
]

test('words are those of sh', () => {
  for (const [text, ...words] of plain) {
    assert.deepEqual(splitWords(text), { words }, JSON.stringify(text))
    if (/[^\n \t]/.test(text)) assert.deepEqual(wordsOfSh(text), words, `sh: ${JSON.stringify(text)}`)
  }
})

function wordsOfSh(text: string): string[] {
  // A newline outside quotes ends a command for sh; for us it is a blank.
  const line = text.replace(/(?<=b)\nc/, ' c')
  const out = execFileSync('/bin/sh', ['-c', `set -f; for word in ${line}; do printf '%s\\0' "$word"; done`], { encoding: 'utf8' })
  return out.split('\0').slice(0, -1)
}

test('nothing is expanded, no operator and no comment is seen', () => {
  for (const text of ['$HOME', '$(id)', '`id`', '*.txt', '~', 'a;b', 'a|b', '&&', '>x', '#x', '{a,b}', '!x'])
    assert.deepEqual(splitWords(text), { words: [text] })
  assert.deepEqual(splitWords('a # b'), { words: ['a', '#', 'b'] })
})

test('an expansion is kept whole, with blanks and quotes in it, in quotes or not', () => {
  const rows: [text: string, ...words: string[]][] = [
    ['x ${port} y', 'x', '${port}', 'y'],
    ['${env.A:-a b}', '${env.A:-a b}'],
    ['"${env.A:-a b}" c', '${env.A:-a b}', 'c'],
    ["${env.A:-it's} b", "${env.A:-it's}", 'b'],
    ['--d=${env.A:-${here}/a b}/c', '--d=${env.A:-${here}/a b}/c'],
    ["'${port}'", '${port}'],
    ['a ${port b', 'a', '${port', 'b'],
    ['$${A b}', '$${A', 'b}'],
  ]
  for (const [text, ...words] of rows) assert.deepEqual(splitWords(text), { words }, text)
})

test('what is not closed is an error that says where it began', () => {
  assert.deepEqual(splitWords('a "b'), { error: 'a " that is not closed', offset: 2 })
  assert.deepEqual(splitWords("'"), { error: "a ' that is not closed", offset: 0 })
  assert.deepEqual(splitWords('a "b\\'), { error: 'a " that is not closed', offset: 2 })
  assert.deepEqual(splitWords('ab\\'), { error: 'a \\ with nothing after it', offset: 2 })
})

test('a long line takes time in proportion to its length', () => {
  const long = '${'.repeat(20_000)
  const began = process.cpuUsage().user
  assert.deepEqual(splitWords(long), { words: [long] })
  assert.ok(process.cpuUsage().user - began < 1_000_000)
})
