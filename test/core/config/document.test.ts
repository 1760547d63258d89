// The documents made from the schema are what stands in config/; UPDATE_DOCS=1 writes them anew.
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { parse } from 'yaml'
import { jsonSchema, jsonSchemaText, referenceText } from '../../../src/core/config/document.js'
import { exampleProblems } from '../../../src/core/config/example.js'
import { configOf } from './fake-world.js'

const root = fileURLToPath(new URL('../../../../', import.meta.url))
const example = readFileSync(`${root}config/guard.yaml`, 'utf8')

function isKept(file: string, text: string): void {
  if (process.env.UPDATE_DOCS === '1') writeFileSync(`${root}${file}`, text)
  assert.equal(readFileSync(`${root}${file}`, 'utf8'), text, `${file} is out of date: UPDATE_DOCS=1 npm test writes it`)
}

test('config/reference.md is the reference of the schema', () => isKept('config/reference.md', referenceText()))

test('config/guard.schema.json is the JSON Schema of the schema', () => isKept('config/guard.schema.json', jsonSchemaText()))

test('config/guard.yaml holds every option, and what stands there is the default', () => assert.deepEqual(exampleProblems(example), []))

test('config/guard.yaml loads, and means the same as saying nothing', () => {
  const spoken = configOf(example)
  const silent = configOf(
    'programs:\n  example: {command: sleep infinity}\ngroups:\n  examples: [example]\nroutes: [{prefix: /example/, to: "http://127.0.0.1:8000"}]\n',
  )
  assert.deepEqual(spoken, silent)
})

test('what the example would miss or say wrongly is found', () => {
  const rows: [change: (text: string) => string, problem: string][] = [
    [text => text.replace(/^ *startsecs:.*\n/m, ''), 'programs.*.startsecs is missing'],
    [text => text.replace('startsecs: 1s', 'startsecs: 2s'), 'programs.*.startsecs is "2s", but the default is "1s"'],
    [
      text => text.replace('    startretries:', '    # startretries:'),
      'programs.*.startretries has the default 3, but stands in a comment or nowhere',
    ],
    [text => text.replace(/^ *# core:.*\n/m, ''), 'programs.*.limits.core is missing'],
    [text => text.replace(/^ *# grpc:.*\n/m, ''), 'programs.*.probe.grpc is missing'],
    [text => text.replace('drain: 30s', 'drain: 31s'), 'proxy.drain is "31s", but the default is "30s"'],
    [text => text.replace(/^ *hold:.*\n/m, ''), 'routes.*.hold is missing'],
    [text => text.replace('programs:\n', 'programs: [\n'), '22:5: inside {...} and [...] entries are separated by commas'],
  ]
  for (const [change, problem] of rows)
    assert.ok(exampleProblems(change(example)).includes(problem), `${problem}: ${exampleProblems(change(example)).join('; ')}`)
})

const validate = new Ajv2020({ strict: false }).compile(jsonSchema())
const accepts = (text: string): boolean => validate(parse(text))

test('editors: the JSON Schema takes the example, the demo and every way to write a value', () => {
  const good = [
    example,
    readFileSync(`${root}config/examples/demo/guard.yaml`, 'utf8'),
    'programs: {a: {command: x, port: auto, umask: 022, user: 1000, startsecs: 5, stopwaitsecs: 1m30s, autorestart: false}}',
    'programs: {a: {command: x, port: "${env.PORT:-80}", startsecs: "${env.S:-1s}", autostart: "${env.A:-true}", exitcodes: [0, 2]}}',
    'programs: {a: {command: x, environment: {A: 1, B: x, C: true}, depends_on: [b], limits: {nofile: infinity, core: 1GB}}}',
    'groups: {g: [a], h: {programs: [b], priority: 1}}',
    'routes: [{prefix: /a/, to: ["unix:/x"], protocol: h2c, timeout: 5}]',
  ]
  for (const text of good) assert.ok(accepts(text), `${JSON.stringify(validate.errors)} in ${text}`)
})

test('editors: the JSON Schema refuses typos, wrong types, wrong units and what is missing', () => {
  const bad = [
    'programs: {a: {comand: x}}',
    'programs: {a: {}}',
    'programs: {a: {command: x, startsecs: ten}}',
    'programs: {a: {command: x, stdout_logfile_maxbytes: 5 apples}}',
    'programs: {a: {command: x, autorestart: maybe}}',
    'programs: {a: {command: x, port: 70000}}',
    'programs: {"a b": {command: x}}',
    'routes: [{prefix: a, to: b}]',
    'proxy: {workers: 0}',
    'admin: {}',
  ]
  for (const text of bad) assert.equal(accepts(text), false, text)
})
