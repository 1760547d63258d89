// The end of a log file as people are shown it.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { lastLines } from '../../src/supervisor/last-lines.js'

const long = 'y'.repeat(600)
const rows: [string, string, string[]][] = [
  ['a short file gives all it has', 'one\ntwo\n', ['one', 'two']],
  ['the last ones, newest last', 'a\nb\nc\nd\n', ['b', 'c', 'd']],
  ['no final newline', 'a\nlast', ['a', 'last']],
  ['empty lines are left out', 'a\n\n \nb\n\n', ['a', 'b']],
  ['an empty file has none', '', []],
  ['a long line is cut to 500 characters', `${long}\n`, [long.slice(0, 500)]],
  ['a line that began before the last 8 KiB is not shown in half', `${'x'.repeat(9_000)}\nend\n`, ['end']],
  ['carriage returns of progress bars belong to the line end', 'a\r\nb\r\n', ['a', 'b']],
]

for (const [title, text, wanted] of rows) {
  test(title, async t => {
    const dir = mkdtempSync(join(tmpdir(), 'guard-lines-'))
    t.after(() => rmSync(dir, { recursive: true }))
    writeFileSync(join(dir, 'log'), text)
    assert.deepEqual(await lastLines(join(dir, 'log'), 3), wanted)
  })
}

test('a file that is not there has no lines', async () => {
  assert.deepEqual(await lastLines('/nope/log', 3), [])
})
