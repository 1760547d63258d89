// Reads the main file and everything it includes, each once, as trees.
import { checkValue } from './check.js'
import type { Scope } from './expand.js'
import { directoryOf, resolvePath, shownFrom } from './path.js'
import { didYouMean, note, type Place, quoted, type Report } from './problem.js'
import { fileSchema } from './schema.js'
import { type MapNode, type Reading, readTree } from './tree.js'
import type { World } from './world.js'

/** Files one configuration may have, and how deep they may include one another. */
export const FILES_MAX = 1000
export const INCLUDES_MAX = 16

export interface Source {
  file: string
  /** The expansions that are known in the whole file. */
  scope: Scope
  root: MapNode
}

export interface Sources {
  /** Absolute; the main file first, then in the order of the includes. */
  files: string[]
  sources: Source[]
  /** False where something could not be read: names that seem unknown may stand there. */
  complete: boolean
}

/** Reads file and what it includes.  file: absolute.  Throws nothing: what is wrong goes to the report. */
export function readSources(file: string, world: World, report: Report): Sources {
  const all: Sources = { files: [], sources: [], complete: true }
  readFile(file, { file, line: 0, column: 0 }, [], { all, world, report })
  return all
}

interface Reader {
  all: Sources
  world: World
  report: Report
}

function readFile(file: string, asked: Place, chain: string[], reader: Reader): void {
  const { all, report, world } = reader
  const read = readRoot(file, asked, chain.length === 0 ? '' : shownFrom(report.root, file), world)
  if (!isIni(file)) all.files.push(file)
  for (const { place, message } of read.problems) note(report, place, message)
  if (read.problems.length > 0) all.complete = false
  if (read.root === null) return
  const source: Source = { file, root: read.root, scope: { names: { here: directoryOf(file) }, env: world.env } }
  all.sources.push(source)
  const known = Object.keys(fileSchema.shape)
  for (const [name, { place }] of read.root.entries) {
    if (!known.includes(name))
      note(report, place, `unknown section ${quoted(name)}${didYouMean(name, known) || `; expected ${known.join(', ')}`}`)
  }
  readIncludes(source, [...chain, file], reader)
}

/** The file's map of sections; null with problems, and for an empty included file without.  included: its name for messages, '' for the main file. */
function readRoot(file: string, asked: Place, included: string, world: World): { root: MapNode | null; problems: Reading['problems'] } {
  const failed = (place: Place, message: string) => ({ root: null, problems: [{ place, message }] })
  if (isIni(file))
    return failed(asked, `${included || 'this'} is a supervisord INI file by its name; those are not read yet, expected YAML`)
  const found = world.read(file)
  if ('error' in found) return failed(asked, included === '' ? found.error : `cannot include ${included}: ${found.error}`)
  const { root, problems } = readTree(found.text, file)
  if (problems.length > 0) return { root: null, problems }
  if (root === null)
    return included === '' ? failed(asked, 'the file is empty; expected sections such as "programs:"') : { root: null, problems }
  if (root.kind !== 'map') return failed(root.place, `the file holds ${KINDS[root.kind]}; expected sections such as "programs:"`)
  return { root, problems }
}

function isIni(file: string): boolean {
  return /\.(?:conf|ini)$/.test(file)
}

const KINDS = { list: 'a list', text: 'text', number: 'a number', boolean: 'true or false', empty: 'nothing' }

function readIncludes(source: Source, chain: string[], reader: Reader): void {
  const entry = source.root.entries.get('include')
  if (entry === undefined || entry.node.kind === 'empty') return
  const about = { title: 'include', prefix: 'include' }
  const include = checkValue(fileSchema.shape.include.unwrap(), entry.node, { about, scope: source.scope, report: reader.report })
  if (include === null) {
    reader.all.complete = false
    return
  }
  const patterns = typeof include === 'string' ? [include] : include
  for (const [index, pattern] of patterns.entries()) {
    const place = (entry.node.kind === 'list' ? entry.node.items[index]?.place : undefined) ?? entry.node.place
    includeOne(pattern, place, source, chain, reader)
  }
}

function includeOne(pattern: string, place: Place, source: Source, chain: string[], reader: Reader): void {
  const { all, report, world } = reader
  const base = directoryOf(source.file)
  const isPattern = /[*?]/.test(pattern)
  const files = isPattern ? world.glob(pattern, base) : [resolvePath(base, pattern)]
  const stop = (message: string) => {
    all.complete = false
    note(report, place, message)
  }
  for (const file of files) {
    if (!isPattern && chain.includes(file)) {
      const round = [...chain.slice(chain.indexOf(file)), file].map(each => shownFrom(report.root, each))
      stop(`files include each other: ${round.join(' → ')}`)
    } else if (all.files.includes(file)) continue
    else if (chain.length >= INCLUDES_MAX) stop(`includes go more than ${INCLUDES_MAX} deep`)
    else if (all.files.length >= FILES_MAX) stop(`more than ${FILES_MAX} files`)
    else readFile(file, place, chain, reader)
  }
}
