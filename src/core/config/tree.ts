// Reads YAML text into a tree that knows where every value stands; all that is wrong with the YAML itself is told here.
import {
  CST,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type ParsedNode,
  parseDocument,
  type YAMLError,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import { type Place, quoted } from './problem.js'

export type Node = MapNode | ListNode | ScalarNode

export interface MapNode {
  kind: 'map'
  place: Place
  entries: Map<string, Entry>
}

export interface ListNode {
  kind: 'list'
  place: Place
  items: Node[]
}

export interface ScalarNode {
  kind: 'text' | 'number' | 'boolean' | 'empty'
  place: Place
  value: string | number | boolean | null
  /** As it stands in the file (`022`, `1.10`); for quoted text what the quotes hold. */
  written: string
  /** Holds no expansions, whatever it looks like: it came from the environment. */
  literal?: true
}

/** One key of a map and what it holds; place is the key's. */
export interface Entry {
  place: Place
  node: Node
}

/** Values one file may hold once its aliases are followed. */
export const VALUES_MAX = 50_000
/** How deep lists and maps may nest; the YAML library dies of stack exhaustion (not an exception) far beyond it. */
export const DEPTH_MAX = 100

export interface Reading {
  /** null: the file holds nothing. */
  root: Node | null
  problems: { place: Place; message: string }[]
}

/** The tree of a YAML 1.2 text.  file: its absolute path.  With problems the tree is of no use.  Throws nothing. */
export function readTree(source: string, file: string): Reading {
  const text = source.replace(/^\uFEFF/, '')
  const lines = new LineCounter()
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { file, line, column: col }
  }
  const unreadable = findControl(text) ?? findDepth(text)
  if (unreadable !== null) {
    for (let at = text.indexOf('\n'), start = 0; ; start = at + 1, at = text.indexOf('\n', start)) {
      lines.addNewLine(start)
      if (at < 0) break
    }
    return { root: null, problems: [{ place: placeAt(unreadable.offset), message: unreadable.message }] }
  }
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: '1.2', strict: true, uniqueKeys: false })
  const broken = [...document.errors, ...document.warnings]
  if (broken.length > 0) return { root: null, problems: firstLines(broken, placeAt) }
  if (document.contents === null || (isScalar(document.contents) && document.contents.value === null)) return { root: null, problems: [] }
  const walk: Walk = { placeAt, problems: [], values: 0, open: new Set(), anchors: new Map(), inAlias: 0 }
  return { root: convert(document.contents, walk), problems: walk.problems }
}

interface Walk {
  placeAt(offset: number): Place
  problems: Reading['problems']
  values: number
  /** Nodes we are inside of: an alias to one of them would never end. */
  open: Set<ParsedNode>
  /** What each anchor stands for at this point of the document. */
  anchors: Map<string, ParsedNode>
  /** Aliases we are inside of; what they hold has set its anchors already. */
  inAlias: number
}

function convert(node: ParsedNode | null, walk: Walk, keyOffset = 0): Node {
  const place = walk.placeAt(node?.range?.[0] ?? keyOffset)
  if (++walk.values > VALUES_MAX) {
    if (walk.values === VALUES_MAX + 1)
      walk.problems.push({ place, message: `the file holds more than ${VALUES_MAX} values (aliases are counted each time they are used)` })
    return emptyAt(place)
  }
  if (isAlias(node)) return convertAlias(node.source, place, walk)
  if (node?.anchor !== undefined && walk.inAlias === 0) walk.anchors.set(node.anchor, node)
  if (node !== null && walk.open.has(node)) {
    walk.problems.push({ place, message: 'an alias holds itself' })
    return emptyAt(place)
  }
  if (isMap(node)) return within(node as ParsedNode, walk, () => convertMap(node as YAMLMap.Parsed, place, walk))
  if (isSeq(node)) {
    const items = node as YAMLSeq.Parsed
    return within(node as ParsedNode, walk, () => ({
      kind: 'list',
      place,
      items: items.items.map(item => convert(item, walk, node.range?.[0])),
    }))
  }
  if (!isScalar(node)) return emptyAt(place)
  const { value } = node
  const written = typeof value === 'string' ? value : (node.source ?? String(value))
  if (typeof value === 'string') return { kind: 'text', place, value, written }
  if (typeof value === 'number') return { kind: 'number', place, value, written }
  if (typeof value === 'boolean') return { kind: 'boolean', place, value, written }
  return emptyAt(place)
}

function convertAlias(name: string, place: Place, walk: Walk): Node {
  const target = walk.anchors.get(name)
  if (target === undefined) {
    walk.problems.push({ place, message: `the alias *${name} has no anchor &${name} before it` })
    return emptyAt(place)
  }
  walk.inAlias++
  const made = convert(target, walk)
  walk.inAlias--
  return made
}

function convertMap(map: YAMLMap.Parsed, place: Place, walk: Walk): Node {
  const entries = new Map<string, Entry>()
  for (const { key, value } of map.items) {
    const keyPlace = walk.placeAt(key?.range?.[0] ?? map.range[0])
    if (!isScalar(key)) {
      walk.problems.push({ place: keyPlace, message: isAlias(key) ? 'an alias cannot be a name' : 'a name must be plain text' })
      continue
    }
    const name = typeof key.value === 'string' ? key.value : (key.source ?? '')
    // Both would meet what every JavaScript object has under these names.
    if (name === '__proto__' || name === 'constructor')
      walk.problems.push({ place: keyPlace, message: `the name "${name}" cannot be used` })
    else if (entries.has(name))
      walk.problems.push({ place: keyPlace, message: `${quoted(name)} is doubled; the first is in line ${entries.get(name)!.place.line}` })
    else entries.set(name, { place: keyPlace, node: convert(value, walk, key.range?.[0]) })
  }
  return { kind: 'map', place, entries }
}

function within(node: ParsedNode, walk: Walk, make: () => Node): Node {
  walk.open.add(node)
  const made = make()
  walk.open.delete(node)
  return made
}

function emptyAt(place: Place): ScalarNode {
  return { kind: 'empty', place, value: null, written: '' }
}

/** YAML allows no control characters; the library lets them through. */
function findControl(text: string): { offset: number; message: string } | null {
  const match = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F]/.exec(text)
  if (match === null) return null
  return {
    offset: match.index,
    message: `the control character 0x${match[0].charCodeAt(0).toString(16).padStart(2, '0')} cannot stand in YAML`,
  }
}

/** Where lists and maps nest too deep for the recursive parser: brackets, dashes in one line, or indentation of line under line. */
function findDepth(text: string): { offset: number; message: string } | null {
  const offset = findFlowDepth(text) ?? findIndentation(text)
  return offset === null ? null : { offset, message: `lists and maps nest more than ${DEPTH_MAX} deep` }
}

function findFlowDepth(text: string): number | null {
  let brackets = 0
  let dashes = 0
  let offset = 0
  for (const token of new Lexer().lex(text)) {
    const type = CST.tokenType(token)
    if (type === 'flow-map-start' || type === 'flow-seq-start') brackets++
    else if (type === 'flow-map-end' || type === 'flow-seq-end') brackets--
    else if (type === 'newline') dashes = 0
    else if (type === 'seq-item-ind' || type === 'explicit-key-ind') dashes++
    if (brackets > DEPTH_MAX || dashes > DEPTH_MAX) return offset
    if (!MARKS.includes(token)) offset += token.length
  }
  return null
}

/** What the lexer puts between the tokens: document, flow error, scalar. They stand for no text. */
const MARKS = ['\u0002', '\u0018', '\u001F']

function findIndentation(text: string): number | null {
  const open: number[] = []
  for (const line of text.matchAll(/^( *)[^\s#]/gm)) {
    const indent = line[1]!.length
    while (open.length > 0 && open.at(-1)! >= indent) open.pop()
    open.push(indent)
    if (open.length > DEPTH_MAX) return line.index + indent
  }
  return null
}

/** One mistake in brackets or indentation makes an error of every line after it: the first few lines tell. */
const LINES_TOLD = 3

function firstLines(errors: YAMLError[], placeAt: Walk['placeAt']): Reading['problems'] {
  const byLine = new Map<number, Reading['problems'][number]>()
  for (const error of errors.toSorted((a, b) => a.pos[0] - b.pos[0])) {
    const place = placeAt(error.pos[0])
    if (!byLine.has(place.line)) byLine.set(place.line, { place, message: WORDS[error.code] ?? 'this is not YAML' })
  }
  return [...byLine.values()].slice(0, LINES_TOLD)
}

/** Our words for the library's codes: its own sentences can hold pieces of the file, secrets among them. */
const WORDS: Partial<Record<YAMLError['code'], string>> = {
  ALIAS_PROPS: 'an alias cannot have an anchor or a tag',
  BAD_ALIAS: 'the alias or anchor has a malformed name',
  BAD_COLLECTION_TYPE: 'the tag does not fit the kind of value',
  BAD_DIRECTIVE: 'the % line is no YAML directive; quote a value that starts with %',
  BAD_DQ_ESCAPE: 'this backslash means nothing inside "..."; write \\\\ for a backslash, or use single quotes',
  BAD_INDENT: 'the indentation does not fit the lines above it',
  BAD_PROP_ORDER: 'anchors and tags stand before the value',
  BAD_SCALAR_START: 'a value cannot start with this character; put it in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a second ": " in one line; put a value that holds ": " in quotes',
  BLOCK_IN_FLOW: 'inside {...} and [...] entries are separated by commas',
  KEY_OVER_1024_CHARS: 'the name before ":" is longer than 1024 characters',
  MISSING_CHAR: 'something is missing here: a ":" with a blank after it, or a closing quote, bracket or brace',
  MULTILINE_IMPLICIT_KEY: 'a name must be on one line, with ": " after it',
  MULTIPLE_ANCHORS: 'a value has one anchor at most',
  MULTIPLE_DOCS: 'the file holds a second document after "---"; expected one',
  MULTIPLE_TAGS: 'a value has one tag at most',
  NON_STRING_KEY: 'a name must be plain text',
  RESOURCE_EXHAUSTION: `lists and maps nest more than ${DEPTH_MAX} deep`,
  TAB_AS_INDENT: 'a tab cannot indent; use blanks',
  TAG_RESOLVE_FAILED: 'this YAML tag is not known here; put a value that starts with ! in quotes',
  UNEXPECTED_TOKEN: 'this does not belong here; put a value with special characters in quotes',
}
