// The house rules as tests: arrows, sizes, names, banned words, and documents that say what the code says.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, normalize } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { renderCommands } from '../src/control/command-docs.js'
import { ERRORS } from '../src/core/error.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const read = (file: string): string => readFileSync(join(root, file), 'utf8')
/** What git knows, and what it does not know yet and does not ignore. */
const tree = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter(file => file !== '' && statSync(join(root, file), { throwIfNoEntry: false })?.isFile())
const sources = tree.filter(file => /^(src|test|bench|config|native)\/.*\.(ts|mjs|c|h|py|sh)$/.test(file))

/** A room and the rooms it may know; files directly in src/ are rooms of their own. */
const arrows: Record<string, string[]> = {
  'main.ts': ['run.ts', 'control', 'host', 'core'],
  'run.ts': ['control', 'daemon.ts', 'host', 'core'],
  'cli.ts': ['control', 'core'],
  control: ['guard.ts', 'host', 'core'],
  'daemon.ts': ['guard.ts', 'supervisor', 'proxy', 'host', 'core'],
  'guard.ts': ['core'],
  supervisor: ['core'],
  proxy: ['core'],
  host: ['core'],
  core: [],
}

test('arrows point down only: main → control → daemon → supervisor | proxy | host → core', () => {
  const wrong: string[] = []
  for (const file of sources.filter(each => each.startsWith('src/'))) {
    const room = roomOf(file)
    const allowed = arrows[room]
    if (allowed === undefined) wrong.push(`${file}: the room ${room} is not in the drawing`)
    for (const to of localImports(file)) {
      const target = roomOf(to)
      if (target !== room && !allowed?.includes(target)) wrong.push(`${file} → ${to}`)
    }
  }
  assert.deepEqual(wrong, [])
})

function roomOf(file: string): string {
  return (file.split('/')[1] as string).replace(/\.js$/, '.ts')
}

function localImports(file: string): string[] {
  return [...read(file).matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(match => normalize(join(dirname(file), match[1] as string)))
}

test('core is pure: no node: import, no clock, no dice, nothing that waits', () => {
  const banned = /from 'node:|\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bawait\b|\basync\b|\bsetTimeout\b|\bperformance\b|\bprocess\./
  assert.deepEqual(
    sources.filter(file => file.startsWith('src/core/') && banned.test(code(file))),
    [],
  )
})

/** Without comments: they may name what the code must not do. */
function code(file: string): string {
  return read(file)
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/^\s*\/\/.*$/gm, '')
    .replace(/ \/\/ .*$/gm, '')
}

/** Lines a file may have, and the exceptions with their reasons. */
const limits: [RegExp, number][] = [
  [/^native\//, 700],
  [/^test\//, 600],
  [/./, 300],
]

test('no file is longer than its limit', () => {
  const lines = (file: string): number => read(file).split('\n').length - 1
  const limit = (file: string): number => limits.find(([pattern]) => pattern.test(file))?.[1] as number
  assert.deepEqual(
    sources.filter(file => lines(file) > limit(file)).map(file => `${file}: ${lines(file)} lines, limit ${limit(file)}`),
    [],
  )
})

test('every source file opens with a comment that names its job', () => {
  const opens = (file: string): boolean => /^(#!.*\n)?(\/\/|\/\*|#|""")/.test(read(file))
  assert.deepEqual(
    sources.filter(file => !opens(file)),
    [],
  )
})

/** What must not stand in the tree, and what to write instead. */
const bannedWords: [RegExp, string][] = [
  [/\bTODO\b(?! #\d)/, 'a TODO needs an issue: TODO #12'],
  [/@ts-ignore|@ts-nocheck/, 'mend the type'],
  [/\b(test|it|describe)\.(only|skip|todo)\b/, 'run it, or delete it; a missing peer program is `t.skip` with the package’s name'],
  [/catch\s*(\([^)]*\))?\s*\{\s*\}/, 'handle it, or say in a comment between the brackets why silence is right'],
]

test('no banned words', () => {
  const found: string[] = []
  for (const file of sources.filter(each => !each.endsWith('tidy.test.ts'))) {
    for (const [pattern, instead] of bannedWords)
      if (pattern.test(pattern.source.startsWith('catch') ? read(file) : code(file))) found.push(`${file}: ${pattern}; instead: ${instead}`)
  }
  assert.deepEqual(found, [])
})

test('no file is a bag: utils, helpers, common, misc, index', () => {
  assert.deepEqual(
    sources.filter(file => /^(utils?|helpers?|common|misc|index)\./.test(basename(file))),
    [],
  )
})

test('the README’s map names every folder of the tree and nothing else', () => {
  const named = [...section('Map').matchAll(/^\| `([^`]+\/)` \|/gm)].map(match => match[1] as string)
  const folders = new Set(tree.flatMap(file => parents(file)).filter(folder => !/^(\.|test\/.)/.test(folder)))
  assert.deepEqual(named.toSorted(), [...folders].toSorted())
})

function parents(file: string): string[] {
  const parts = file.split('/').slice(0, -1)
  return parts.map((_, place) => `${parts.slice(0, place + 1).join('/')}/`)
}

/** The README's text below `## title`. */
function section(title: string): string {
  const found = read('README.md')
    .split(/^## /m)
    .find(part => part.startsWith(`${title}\n`))
  assert.ok(found, `README.md has no section "${title}"`)
  return found
}

/** A section whose text comes from the code; UPDATE_DOCS=1 rewrites it. */
function generated(title: string, text: string): void {
  const before = section(title)
  const wanted = `${title}\n\n${text}\n`
  if (process.env.UPDATE_DOCS === '1')
    writeFileSync(
      join(root, 'README.md'),
      read('README.md').replace(`## ${before}`, () => `## ${wanted}`),
    )
  assert.equal(section(title), wanted, 'UPDATE_DOCS=1 npm run check rewrites it')
}

test('the README’s commands are the command table', () => generated('Commands', renderCommands()))

test('the README’s errors are the error table', () => {
  const rows = Object.entries(ERRORS).map(
    ([code, row]) =>
      `| \`${code}\` | ${row.exit} | ${row.http} | ${row.grpc} | ${row.source} | ${row.retry} | ${row.hint.replaceAll('|', '\\|')} |`,
  )
  generated(
    'Errors',
    ['| code | exit | HTTP | gRPC | source | retry | what to do |', '|---|---|---|---|---|---|---|', ...rows, ''].join('\n'),
  )
})

test('every version in package.json is exact', () => {
  const { dependencies, devDependencies } = JSON.parse(read('package.json'))
  for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies }))
    assert.match(String(version), /^\d+\.\d+\.\d+$/, name)
})

test('the lock file has an entry for every optional package it names, or `npm ci` refuses it', () => {
  // A registry that lacks another platform's binary makes `npm i` leave its entry out without a word (seen with Biome's); write it in by hand then.
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { optionalDependencies?: Record<string, string> }>
  }
  const named = Object.values(packages).flatMap(entry => Object.keys(entry.optionalDependencies ?? {}))
  assert.deepEqual(
    named.filter(name => packages[`node_modules/${name}`] === undefined),
    [],
  )
})
