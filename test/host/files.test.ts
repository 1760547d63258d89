// Reading files of this machine: bounded, never blocking, and said in words when it cannot be.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { FILE_BYTES_MAX, globFiles, kindOf, matchesName, readText } from '../../src/host/files.js'

const home = mkdtempSync(join(tmpdir(), 'guard-files-'))
after(() => rmSync(home, { recursive: true }))
const at = (name: string): string => join(home, name)

for (const name of ['conf.d', 'conf.d/sub', 'other.d', '.hidden']) mkdirSync(at(name))
for (const name of [
  'a.yaml',
  'conf.d/b.yaml',
  'conf.d/a.yaml',
  'conf.d/.c.yaml',
  'conf.d/sub/d.yaml',
  'other.d/a.yaml',
  '.hidden/a.yaml',
  'conf.d/a.yml',
]) {
  writeFileSync(at(name), name)
}
symlinkSync(at('a.yaml'), at('conf.d/link.yaml'))
symlinkSync(at('gone'), at('conf.d/dangling.yaml'))

test('a name matches a pattern of * and ?', () => {
  const rows: [name: string, pattern: string, matches: boolean][] = [
    ['a.yaml', '*.yaml', true],
    ['a.yaml', 'a.yaml', true],
    ['a.yaml', '?.yaml', true],
    ['ab.yaml', '?.yaml', false],
    ['.yaml', '*.yaml', true],
    ['a.yamlx', '*.yaml', false],
    ['abcabd', 'a*abd', true],
    ['abcabd', '*c*d', true],
    ['abcabd', '*c*e', false],
    ['a', '**', true],
    ['', '*', true],
    ['', '?', false],
    ['a*b', 'a*b', true],
    ['a.b', 'a[.]b', false],
    ['x'.repeat(255), `${'*x'.repeat(100)}y`, false],
  ]
  for (const [name, pattern, matches] of rows) assert.equal(matchesName(name, pattern), matches, `${name} ${pattern}`)
})

test('patterns find files, sorted, in any part of the path; dot files only when asked for', () => {
  const rows: [pattern: string, ...found: string[]][] = [
    ['conf.d/*.yaml', 'conf.d/a.yaml', 'conf.d/b.yaml', 'conf.d/link.yaml'],
    ['*.d/a.yaml', 'conf.d/a.yaml', 'other.d/a.yaml'],
    ['*/*/*.yaml', 'conf.d/sub/d.yaml'],
    ['conf.d/.*.yaml', 'conf.d/.c.yaml'],
    ['.h*/*', '.hidden/a.yaml'],
    ['conf.d/?.y?ml', 'conf.d/a.yaml', 'conf.d/b.yaml'],
    ['conf.d/*', 'conf.d/a.yaml', 'conf.d/a.yml', 'conf.d/b.yaml', 'conf.d/link.yaml'],
    ['conf.d/../*.yaml', 'a.yaml'],
    ['none/*.yaml'],
    ['a.yaml/*'],
  ]
  for (const [pattern, ...found] of rows) assert.deepEqual(globFiles(pattern, home), found.map(at), pattern)
  assert.deepEqual(globFiles(at('conf.d/b*'), '/'), [at('conf.d/b.yaml')])
})

test('text is read as it is, up to the limit and not beyond', () => {
  writeFileSync(at('text'), '\uFEFFä\r\n')
  assert.deepEqual(readText(at('text')), { text: '\uFEFFä\r\n' })
  writeFileSync(at('full'), 'x'.repeat(FILE_BYTES_MAX))
  assert.equal((readText(at('full')) as { text: string }).text.length, FILE_BYTES_MAX)
  writeFileSync(at('over'), 'x'.repeat(FILE_BYTES_MAX + 1))
  assert.deepEqual(readText(at('over')), { error: 'it is larger than 1024 KB' })
})

test('what cannot be read is said in words; a pipe does not block', () => {
  writeFileSync(at('latin1'), Buffer.from([0x61, 0xe4, 0x62]))
  execFileSync('mkfifo', [at('pipe')])
  symlinkSync(at('loop'), at('loop'))
  const rows: [path: string, error: string][] = [
    [at('latin1'), 'it is not UTF-8 text'],
    [at('pipe'), 'it is no regular file'],
    [home, 'it is a directory'],
    [at('nothing'), 'no such file'],
    [at('a.yaml/x'), 'no such file'],
    [at('loop'), 'its links go round in a circle'],
    [at('x'.repeat(300)), 'its name is too long'],
    ['/dev/null', 'it is no regular file'],
  ]
  for (const [path, error] of rows) assert.deepEqual(readText(path), { error }, path)
})

test('a path is a directory, a file, or missing', () => {
  assert.deepEqual([home, at('a.yaml'), at('conf.d/dangling.yaml'), at('nothing')].map(kindOf), ['directory', 'file', 'missing', 'missing'])
})
