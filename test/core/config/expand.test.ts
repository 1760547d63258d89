// Expansions: what each form yields, and what each mistake says.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { expand } from '../../../src/core/config/expand.js'

const scope = {
  names: { here: '/srv', program: 'web', group: 'g', num: '0', port: '8000', host: null },
  env: { A: 'a', EMPTY: '', TRICKY: '${port} $${x} $A', SECRET: 's3' },
}

test('each form yields its value, once', () => {
  const rows: [text: string, want: string][] = [
    ['', ''],
    ['plain $HOME $ $$ {x} }', 'plain $HOME $ $$ {x} }'],
    ['${here}/${program}-${group}.${num}:${port}', '/srv/web-g.0:8000'],
    ['${env.A}${env.A}', 'aa'],
    ['${env.EMPTY}|', '|'],
    ['${env.EMPTY:-x}', 'x'],
    ['${env.NOPE:-}', ''],
    ['${env.NOPE:-a b:-c}', 'a b:-c'],
    ['${env.NOPE:-${here}/x}', '/srv/x'],
    ['${env.NOPE:-${env.A:-b}}', 'a'],
    ['${env.A:-x}', 'a'],
    ['$${port}', '${port}'],
    ['$${env.A} ${env.A}', '${env.A} a'],
    ['$$${port}', '$${port}'],
    ['${env.TRICKY}', '${port} $${x} $A'],
  ]
  for (const [text, want] of rows) assert.deepEqual(expand(text, scope), { text: want, errors: [] }, text)
})

test('each mistake is named; the plain words hold nothing of the text', () => {
  const known = 'known here are ${here} ${program} ${group} ${num} ${port} ${host} ${env.NAME}; write $${ for a plain ${'
  const rows: [text: string, message: string, plain?: string][] = [
    ['${prot}', 'has an unknown expansion "${prot}"; did you mean "${port}"?', `has an unknown expansion; ${known}`],
    ['${HOME}', `has an unknown expansion "\${HOME}"; ${known}`, `has an unknown expansion; ${known}`],
    ['${}', `has an unknown expansion "\${}"; ${known}`, `has an unknown expansion; ${known}`],
    ['${constructor}', `has an unknown expansion "\${constructor}"; ${known}`, `has an unknown expansion; ${known}`],
    ['${host}', 'uses ${host}, but the program has no host'],
    ['a ${port', 'has a "${" without its "}"; write $${ for a plain ${'],
    ['${env.NOPE}', 'needs the environment variable NOPE, which is not set; ${env.NOPE:-default} gives a default'],
    [
      '${env.}',
      'has the expansion "${env.}"; expected ${env.NAME} or ${env.NAME:-default}',
      'has a malformed expansion; expected ${env.NAME} or ${env.NAME:-default}',
    ],
    [
      '${env.A-x}',
      'has the expansion "${env.A-x}"; expected ${env.NAME} or ${env.NAME:-default}',
      'has a malformed expansion; expected ${env.NAME} or ${env.NAME:-default}',
    ],
    ['${env.A:-${env.NOPE}}', 'needs the environment variable NOPE, which is not set; ${env.NOPE:-default} gives a default'],
  ]
  for (const [text, message, plain] of rows) {
    assert.deepEqual(expand(text, scope).errors, [{ message, plain: plain ?? message }], text)
  }
})

test('every mistake of a text is told, in order', () => {
  const { errors } = expand('${x} ${env.N} ${y}', scope)
  assert.equal(errors.length, 3)
})

test('defaults nest eight deep and no deeper', () => {
  const nested = (depth: number): string => (depth === 0 ? 'x' : `\${env.N:-${nested(depth - 1)}}`)
  assert.deepEqual(expand(nested(7), scope), { text: 'x', errors: [] })
  assert.deepEqual(
    expand(nested(8), scope).errors.map(error => error.message),
    ['nests expansions more than 8 deep'],
  )
  assert.equal(expand(nested(500), scope).errors.length, 1)
})
