// Puts the sections of all files together: each program, group and route knows the file it stands in.
import type * as z from 'zod'
import { checkValue, found } from './check.js'
import { directoryOf } from './path.js'
import { note, type Place, type Report, shownPlace } from './problem.js'
import { type ProxyOptions, proxySchema } from './proxy-schema.js'
import { type GuardOptions, guardSchema } from './schema.js'
import type { Source } from './sources.js'
import type { Entry, MapNode, Node, ScalarNode } from './tree.js'

/** Something with a name, or a place in a list, and where it stands. */
export interface Item {
  name: string
  /** Of its name; of the item itself in a list. */
  place: Place
  node: Node
  source: Source
}

export interface Single<T> {
  options: T
  node: Node
  /** Relative paths start here. */
  base: string
}

/** The items of a section that is a map, in the order of the files.  What stands in two files goes to the report, the first one counts.  Throws nothing. */
export function namedItems(section: 'programs' | 'groups', sources: Source[], report: Report): Item[] {
  const items = new Map<string, Item>()
  for (const { source, node } of parts(section, sources)) {
    if (node.kind !== 'map') {
      note(report, node.place, `${section} is ${found(node)}; expected a map of names to options`)
      continue
    }
    for (const [name, entry] of node.entries) {
      const other = items.get(name)
      const item = { name, source, node: entry.node, place: entry.place }
      if (other === undefined) items.set(name, item)
      else note(report, entry.place, `${section.slice(0, -1)} "${name}" is doubled; the other is at ${shownPlace(report, other.place)}`)
    }
  }
  return [...items.values()]
}

/** The routes of all files, in order.  Throws nothing. */
export function routeItems(sources: Source[], report: Report): Item[] {
  return parts('routes', sources).flatMap(({ source, node }) => {
    if (node.kind === 'list') return node.items.map((item, index) => ({ name: `${index + 1}`, source, node: item, place: item.place }))
    note(report, node.place, `routes is ${found(node)}; expected a list that starts each route with "- prefix:"`)
    return []
  })
}

/** guard with GUARD_… over the file.  null: something is wrong and told.  Throws nothing. */
export function guardSection(
  sources: Source[],
  mainFile: string,
  env: Source['scope']['env'],
  report: Report,
): Single<GuardOptions> | null {
  return single('guard', guardSchema, { sources, mainFile, env, report })
}

/** proxy with GUARD_PROXY_… over the file.  null: something is wrong and told.  Throws nothing. */
export function proxySection(
  sources: Source[],
  mainFile: string,
  env: Source['scope']['env'],
  report: Report,
): Single<ProxyOptions> | null {
  return single('proxy', proxySchema, { sources, mainFile, env, report })
}

/** The variable that goes before an option of guard or proxy.  Throws nothing. */
export function variableOf(section: 'guard' | 'proxy', option: string): string {
  return `${section === 'guard' ? 'GUARD' : 'GUARD_PROXY'}_${option.toUpperCase()}`
}

function parts(section: string, sources: Source[]): { source: Source; node: Node; place: Place }[] {
  return sources.flatMap(source => {
    const entry = source.root.entries.get(section)
    return entry === undefined || entry.node.kind === 'empty' ? [] : [{ source, ...entry }]
  })
}

interface Reading {
  sources: Source[]
  mainFile: string
  env: Source['scope']['env']
  report: Report
}

function single<T extends typeof guardSchema | typeof proxySchema>(
  section: 'guard' | 'proxy',
  schema: T,
  reading: Reading,
): Single<z.output<T>> | null {
  const { sources, mainFile, env, report } = reading
  const [first, ...others] = parts(section, sources)
  for (const { place } of others)
    note(report, place, `section "${section}" is doubled; the other is at ${shownPlace(report, first!.place)}`)
  const file = first?.source.file ?? mainFile
  const scope = first?.source.scope ?? { names: { here: directoryOf(mainFile) }, env }
  const node = withVariables(
    section,
    Object.keys(schema.shape),
    first?.node ?? { kind: 'map', place: { file, line: 0, column: 0 }, entries: new Map() },
    env,
  )
  const options = checkValue(schema, node, { about: { title: `section "${section}"`, prefix: `${section}.` }, scope, report })
  return options === null ? null : { options: options as z.output<T>, node, base: directoryOf(file) }
}

/** What the environment says stands where the file's value would. An empty variable says nothing. */
function withVariables(section: 'guard' | 'proxy', names: string[], node: Node, env: Reading['env']): Node {
  if (node.kind !== 'map') return node
  const entries = new Map<string, Entry>(node.entries)
  for (const name of names) {
    const variable = variableOf(section, name)
    const value = env[variable]
    if (value === undefined || value === '') continue
    const place: Place = { file: `environment ${variable}`, line: 0, column: 0 }
    const scalar: ScalarNode = { ...scalarOf(value), place, written: value }
    entries.set(name, { place, node: scalar })
  }
  return { ...(node as MapNode), entries }
}

function scalarOf(value: string): Pick<ScalarNode, 'kind' | 'value' | 'literal'> {
  if (/^\d+(?:\.\d+)?$/.test(value)) return { kind: 'number', value: Number(value) }
  return value === 'true' || value === 'false' ? { kind: 'boolean', value: value === 'true' } : { kind: 'text', value, literal: true }
}
