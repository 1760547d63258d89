// The bench's own judge: it must see every kind of damage a log can have.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { countLines } from '../../bench/supervise/flood-lines.js'

let directory: string

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'flood-lines-'))
})

after(() => rmSync(directory, { recursive: true }))

/** What flood writes as its line of this number. */
function line(number: number): string {
  return `${String(number).padStart(12, '0')} ${String.fromCharCode(97 + (number % 26)).repeat(86)}\n`
}

const all = [0, 1, 2, 3].map(line)
const CASES: [string, string[], { lost: number; doubled: number; torn: number }][] = [
  ['all lines in two files', [all.slice(0, 2).join(''), all.slice(2).join('')], { lost: 0, doubled: 0, torn: 0 }],
  ['a line cut in two by a rotation', [all.join('').slice(0, 150), all.join('').slice(150)], { lost: 0, doubled: 0, torn: 1 }],
  [
    'a line cut by two rotations',
    [all.join('').slice(0, 110), all.join('').slice(110, 150), all.join('').slice(150)],
    { lost: 0, doubled: 0, torn: 1 },
  ],
  ['a missing line', [all[0] + (all[1] ?? '') + all[3]], { lost: 1, doubled: 0, torn: 0 }],
  ['a line twice', [all.join('') + all[2]], { lost: 0, doubled: 1, torn: 0 }],
  ['a missing end', [all.join('').slice(0, -30)], { lost: 1, doubled: 0, torn: 1 }],
  ['a byte too few inside', [all.join('').replace('bbb', 'bb')], { lost: 1, doubled: 0, torn: 1 }],
  ['a strange byte inside', [all.join('').replace('ccc', 'cxc')], { lost: 1, doubled: 0, torn: 1 }],
  ['nothing', [''], { lost: 4, doubled: 0, torn: 0 }],
]
for (const [what, texts, expected] of CASES) {
  test(`${what} is counted as ${JSON.stringify(expected)}`, () => {
    const files = texts.map((text, at) => {
      const file = join(directory, String(at))
      writeFileSync(file, text)
      return file
    })
    assert.deepEqual(countLines(files, all.length), expected)
  })
}
