// Whether config/guard.yaml holds exactly the options of the schema, with their defaults.
import type * as z from 'zod'
import { found } from './check.js'
import { defaultOf } from './document.js'
import { fileSchema } from './schema.js'
import { isList, objectShape, stepInto, unwrap } from './schema-walk.js'
import { type Node, readTree } from './tree.js'

/** What differs between the example and the schema, in words; [] where nothing does.  An option without a default stands in a comment
 *  (`# port: 8000`), or is required.  Throws nothing. */
export function exampleProblems(text: string): string[] {
  const names = new Set(optionNames(fileSchema))
  const shown = readTree(text, 'guard.yaml')
  const all = readTree(uncommented(text, names), 'guard.yaml')
  const broken = [...shown.problems, ...all.problems].map(({ place, message }) => `${place.line}:${place.column}: ${message}`)
  if (broken.length > 0 || shown.root === null || all.root === null) return broken
  return [...missing(fileSchema, all.root, ''), ...differing(fileSchema, shown.root, '')]
}

/** Takes the `# ` off lines that are an option in a comment. */
function uncommented(text: string, names: ReadonlySet<string>): string {
  const lines = text.split('\n').map(line => {
    const match = /^( *)# ((?:- )?([a-z_]+):(?: .*)?)$/.exec(line)
    return match !== null && names.has(match[3]!) ? `${match[1]}${match[2]}` : line
  })
  // `limits: {}` holds nothing as it stands, and its options in comments below it.
  return lines
    .map((line, index) => (/^ *[a-z_]+: \{\} /.test(line) && indent(lines[index + 1]) > indent(line) ? line.replace('{}', '') : line))
    .join('\n')
}

function indent(line = ''): number {
  return /^ */.exec(line)![0].length
}

function optionNames(schema: z.ZodType): string[] {
  return childrenOf(schema).flatMap(([name, child]) => [...(name === '*' ? [] : [name]), ...optionNames(child)])
}

/** Options of a map, or '*' for what stands under every name or in every place of a list. */
function childrenOf(schema: z.ZodType): [string, z.ZodType][] {
  const shape = objectShape(schema)
  if (shape !== null) return Object.entries(shape)
  const { type } = (unwrap(schema) as unknown as { def: { type: string } }).def
  const inner = type === 'record' || type === 'array' ? stepInto(schema, 'name', isList(schema) ? 'list' : 'map') : null
  return inner === null ? [] : [['*', inner]]
}

function missing(schema: z.ZodType, node: Node, path: string): string[] {
  return childrenOf(schema).flatMap(([name, child]) => {
    const next = name === '*' ? firstIn(node) : node.kind === 'map' ? node.entries.get(name)?.node : undefined
    if (next !== undefined) return missing(child, next, `${path}${name}.`)
    return name === '*' ? [] : [`${path}${name} is missing`]
  })
}

function firstIn(node: Node): Node | undefined {
  return node.kind === 'map' ? [...node.entries.values()][0]?.node : node.kind === 'list' ? node.items[0] : undefined
}

/** Options that stand there with another value than their default, and those with a default that stand in a comment only. */
function differing(schema: z.ZodType, node: Node, path: string): string[] {
  return childrenOf(schema).flatMap(([name, child]) => {
    if (name === '*') return firstIn(node) === undefined ? [] : differing(child, firstIn(node)!, `${path}*.`)
    const value = defaultOf(child)
    const next = node.kind === 'map' ? node.entries.get(name)?.node : undefined
    if (next === undefined)
      return value === undefined ? [] : [`${path}${name} has the default ${JSON.stringify(value)}, but stands in a comment or nowhere`]
    const isMap = objectShape(child) !== null || childrenOf(child).length > 0
    if (isMap && value === undefined) return differing(child, next, `${path}${name}.`)
    if (value === undefined || JSON.stringify(child.safeParse(plain(next)).data) === JSON.stringify(child.safeParse(undefined).data))
      return []
    return [`${path}${name} is ${found(next)}, but the default is ${JSON.stringify(value)}`]
  })
}

function plain(node: Node): unknown {
  if (node.kind === 'map') return Object.fromEntries([...node.entries].map(([name, entry]) => [name, plain(entry.node)]))
  return node.kind === 'list' ? node.items.map(plain) : node.value
}
