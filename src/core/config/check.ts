// Checks one part of the tree against its schema and puts what zod finds into words with positions.
import type * as z from 'zod'
import { expand, type Scope } from './expand.js'
import { type Details, details } from './option.js'
import { didYouMean, note, type Place, quoted, type Report } from './problem.js'
import { kindOf, objectShape, stepInto, unionBranch } from './schema-walk.js'
import type { Entry, Node, ScalarNode } from './tree.js'

/** How messages call the part that is checked. */
export interface About {
  /** `program "web"`: where an option is missing or unknown. */
  title: string
  /** `proxy.`: put before option names; '' in programs, groups and routes. For a list its name. */
  prefix: string
}

export interface Checking {
  about: About
  scope: Scope
  report: Report
}

/** The checked value with defaults and units resolved, or null where something is wrong; that goes to the report.  Throws nothing. */
export function checkValue<T extends z.ZodType>(schema: T, node: Node, checking: Checking): z.output<T> | null {
  const before = checking.report.found.length
  const value = toValue(schema, node, [], {}, checking)
  const expanded = checking.report.found.length === before
  const result = schema.safeParse(value)
  if (result.success) return expanded ? result.data : null
  for (const issue of result.error.issues) tell(issue, [], schema, node, checking)
  return null
}

/** The place of the value at path, or of the closest thing around it that is there. */
export function placeOf(node: Node, path: readonly (string | number)[]): Place {
  const [first, ...rest] = path
  if (first === undefined) return node.place
  const next = childOf(node, first)
  if (next === undefined) return node.place
  return placeOf(next.node, rest)
}

type Path = readonly PropertyKey[]

function childOf(node: Node, key: PropertyKey): Entry | undefined {
  if (node.kind === 'map') return node.entries.get(String(key))
  const item = node.kind === 'list' ? node.items[Number(key)] : undefined
  return item === undefined ? undefined : { node: item, place: item.place }
}

/** The plain value zod sees.  What is expanded once (not per instance) is expanded here; numbers that count as text stay as written. */
function toValue(schema: z.ZodType | null, node: Node, path: Path, inherited: Partial<Details>, checking: Checking): unknown {
  const own = { ...inherited, ...(schema === null ? {} : details.get(schema)) }
  if (node.kind === 'map') {
    return Object.fromEntries(
      [...node.entries].map(([key, { node: value }]) => [
        key,
        toValue(schema && stepInto(schema, key, node.kind), value, [...path, key], own, checking),
      ]),
    )
  }
  if (node.kind === 'list') {
    return node.items.map((item, index) => toValue(schema && stepInto(schema, index, node.kind), item, [...path, index], own, checking))
  }
  if (own.asWritten && (node.kind === 'number' || node.kind === 'boolean')) return node.written
  if (node.kind !== 'text' || own.scope === 'instance') return node.value
  return expandedValue(schema, node, path, checking)
}

function expandedValue(schema: z.ZodType | null, node: ScalarNode, path: Path, checking: Checking): unknown {
  if (node.literal || !node.written.includes('${')) return node.value
  const { text, errors } = expand(node.written, checking.scope)
  for (const { message } of errors) note(checking.report, node.place, `${nameOf(path, checking.about)} ${message}`)
  if (schema === null || errors.length > 0 || schema.safeParse(text).success) return text
  // `port: ${env.PORT}`: where text will not do, what came out may be a number or a word.
  if (/^-?\d+(?:\.\d+)?$/.test(text)) return Number(text)
  return text === 'true' || text === 'false' ? text === 'true' : text
}

/** `proxy.listen`, `probe.interval`, `to[1]`. */
function nameOf(path: Path, about: About): string {
  // A name such as TOKEN=abc holds a value by mistake; values are not shown.
  const shown = (key: PropertyKey) => String(key).replace(/=[\s\S]*/, '=...')
  const inner = path.map((key, index) => (typeof key === 'number' ? `[${key}]` : `${index === 0 ? '' : '.'}${shown(key)}`)).join('')
  return about.prefix + inner
}

function tell(issue: z.core.$ZodIssue, above: Path, schema: z.ZodType, root: Node, checking: Checking): void {
  const path = [...above, ...issue.path]
  const at = findNode(root, path)
  if (issue.code === 'unrecognized_keys') {
    for (const key of issue.keys) tellUnknown(key, path, schema, root, checking)
    return
  }
  if (issue.code === 'invalid_union' && at !== null) {
    const branch = unionBranch(issue.errors, at.kind === 'map' || at.kind === 'list')
    if (branch !== null) {
      for (const inner of branch) tell(inner, path, schema, root, checking)
      return
    }
  }
  if (at === null) {
    tellMissing(path, issue.message, root, checking)
    return
  }
  // A file-wide expansion that failed has been told already, with its name.
  if (at.kind === 'text' && checking.report.found.some(({ place }) => place === at.place)) return
  const subject = path.length === 0 ? checking.about.title : nameOf(path, checking.about)
  const message = issue.message.startsWith('expected ')
    ? `${subject} is ${foundWords(at, path, schema)}; ${issue.message}`
    : `${subject} ${issue.message}`
  note(checking.report, at.place, message)
}

function findNode(root: Node, path: Path): Node | null {
  let node: Node | undefined = root
  for (const key of path) {
    node = childOf(node, key)?.node
    if (node === undefined) return null
  }
  return node
}

function tellUnknown(key: string, path: Path, schema: z.ZodType, root: Node, checking: Checking): void {
  const holder = findNode(root, path)
  const place = holder === null ? root.place : (childOf(holder, key)?.place ?? holder.place)
  const shape = path.reduce<z.ZodType | null>((step, part) => step && stepInto(step, part, 'map'), schema)
  const known = Object.keys((shape && objectShape(shape)) ?? {})
  const where = path.length === 0 ? checking.about.title : `"${path.map(String).join('.')}" of ${checking.about.title}`
  const allowed = known.length === 0 ? '; expected {}' : known.length <= 8 ? `; expected ${known.join(', ')}` : ''
  note(checking.report, place, `unknown option ${quoted(key)} in ${where}${didYouMean(key, known) || allowed}`)
}

function tellMissing(path: Path, expected: string, root: Node, checking: Checking): void {
  const holder = path.slice(0, -1)
  const node = findNode(root, holder)
  const title = holder.length === 0 ? checking.about.title : `"${holder.map(String).join('.')}" of ${checking.about.title}`
  note(checking.report, node?.place ?? root.place, `${title} has no ${String(path.at(-1))}; ${expected}`)
}

/** What stands there, for a message.  Not for secrets.  Throws nothing. */
export function found(node: Node): string {
  if (node.kind === 'map') return 'a map'
  if (node.kind === 'list') return node.items.length === 0 ? 'an empty list' : 'a list'
  if (node.kind === 'empty') return 'empty'
  return node.kind === 'text' ? quoted(node.written) : node.written
}

/** What stands there, for a message.  Secret values are told by their kind only. */
function foundWords(node: Node, path: Path, schema: z.ZodType): string {
  if (node.kind === 'map' || node.kind === 'list' || node.kind === 'empty') return found(node)
  const secret = path.some((_, index) => {
    const around = path.slice(0, index + 1).reduce<z.ZodType | null>((step, part) => step && stepInto(step, part, 'map'), schema)
    return around !== null && details.get(around)?.secret === true
  })
  if (secret) return kindOf(node.kind)
  return found(node)
}
