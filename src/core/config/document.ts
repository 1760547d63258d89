// Documents made from the schema: the reference table, the editors' JSON Schema, and whether the example says the same.
import * as z from 'zod'
import { details } from './option.js'
import { NAME_EXPECTED, programSchema } from './program-schema.js'
import { INSTANCES_MAX } from './programs.js'
import { proxySchema } from './proxy-schema.js'
import { routeSchema } from './route-schema.js'
import { fileSchema, groupMapSchema, guardSchema } from './schema.js'
import { objectShape } from './schema-walk.js'
import { variableOf } from './sections.js'
import { FILES_MAX, INCLUDES_MAX } from './sources.js'
import { DEPTH_MAX, VALUES_MAX } from './tree.js'

interface Row {
  name: string
  type: string
  fallback: string
  text: string
}

/** config/reference.md: one table per section.  Throws nothing. */
export function referenceText(): string {
  return [
    '# Configuration reference',
    '',
    'Made from the schema; change that, not this (`UPDATE_DOCS=1 npm test`). The example with every option is [guard.yaml](guard.yaml).',
    '',
    ...RULES,
    ...table('guard', 'guard', guardSchema),
    ...table('programs.NAME', null, programSchema),
    ...table('groups.NAME', null, groupMapSchema),
    'A plain list of programs means `{ programs: […] }`.',
    '',
    ...table('proxy', 'proxy', proxySchema),
    ...table('routes[]', null, routeSchema),
    '## Sections of a file',
    '',
    '| section | type | what it is |',
    '|---|---|---|',
    ...rowsOf(fileSchema, '')
      .filter(row => !row.name.includes('.'))
      .map(row => `| \`${row.name}\` | ${row.type} | ${row.text} |`),
    '',
  ].join('\n')
}

const RULES = [
  '- Durations: `250ms`, `10s`, `1m30s`, `5m`, `1h`, `1d`, or a number of seconds; at most 24 days. Sizes: `64KB`, `50MB`, `1GB`, or a number of bytes; 1 KB is 1024 bytes.',
  `- Names of programs, groups and instances: ${NAME_EXPECTED.replace('expected ', '')}.`,
  '- Expansions: `${here}` (the directory of the file it stands in) and `${env.NAME}` or `${env.NAME:-default}` in every value; in programs `${program}`, `${group}`, `${num}`, `${port}` and `${host}` too, where the table says *each instance*. ' +
    'A variable that is not set and has no default is an error; `:-` also stands in for an empty one. `$${` is a plain `${`. What an expansion yields is not expanded again.',
  '- Commands are split into words as a POSIX shell does it: blanks, `\'…\'`, `"…"` and `\\`. No shell is run unless `shell: true`: no `$NAME`, no globs, no pipes. An expansion stays one word, whatever it holds.',
  '- Relative paths start at the directory of the file they stand in; those of the environment at that of the main file.',
  '- Precedence: environment (`GUARD_…`) > file > default. An empty variable says nothing.',
  `- \`include\` goes ${INCLUDES_MAX} files deep at most, ${FILES_MAX} files in all. A file may have 1 MB, ${VALUES_MAX} values with its aliases followed, and nest ${DEPTH_MAX} deep; ${INSTANCES_MAX} instances in all. supervisord INI files (.conf, .ini) are refused for now.`,
  '- Files are YAML 1.2: `on`, `yes` and `no` are text. Numbers in `umask`, `user` and `environment` are taken as they are written. Aliases may be used, merge keys (`<<`) not.',
  '',
]

function table(title: string, section: 'guard' | 'proxy' | null, schema: z.ZodType): string[] {
  const rows = rowsOf(schema, '')
  const head =
    section === null
      ? ['| option | type | default | what it does |', '|---|---|---|---|']
      : ['| option | type | default | environment | what it does |', '|---|---|---|---|---|']
  const line = (row: Row) => {
    const variable = section === null ? '' : ` \`${variableOf(section, row.name)}\` |`
    return `| \`${row.name}\` | ${row.type} | ${row.fallback} |${variable} ${row.text} |`
  }
  return [`## ${title}`, '', ...head, ...rows.map(line), '']
}

/** Every option below schema, nested ones as `probe.http.path`. */
function rowsOf(schema: z.ZodType, prefix: string): Row[] {
  return Object.entries(objectShape(schema) ?? {}).flatMap(([key, option]) => {
    const about = details.get(option)
    if (about === undefined) throw new Error(`the option ${prefix}${key} has no description`)
    const value = defaultOf(option)
    const fallback =
      about.fallback ??
      (value === undefined ? 'none' : value === '' ? 'empty' : `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``)
    const text = about.text + (about.scope === 'instance' ? ' Expanded for each instance.' : '')
    return [{ name: prefix + key, type: about.type, fallback, text: text.replaceAll('|', '\\|') }, ...rowsOf(option, `${prefix}${key}.`)]
  })
}

/** The default as people would write it; undefined where there is none.  Throws nothing. */
export function defaultOf(option: z.ZodType): unknown {
  const { def } = option as unknown as { def: { type: string; defaultValue?: unknown; innerType?: z.ZodType } }
  if (def.type === 'default' || def.type === 'prefault') return def.defaultValue
  return def.innerType === undefined ? undefined : defaultOf(def.innerType)
}

type Json = { [key: string]: unknown }

/** config/guard.schema.json: what editors check and complete with; every value may also be a text with an expansion.  Throws nothing. */
export function jsonSchema(): Json {
  const schema = z.toJSONSchema(fileSchema, {
    io: 'input',
    override: ({ zodSchema, jsonSchema: json }) => {
      const about = details.get(zodSchema as unknown as z.ZodType)
      if (about?.asWritten && json.type === 'string') json.type = ['string', 'number']
    },
  }) as Json
  return { $schema: schema.$schema, title: 'AutoDL-Guard configuration', ...withExpansions(schema) }
}

/** The same as the file holds it: lists of words on one line, as the formatter wants them.  Throws nothing. */
export function jsonSchemaText(): string {
  const word = '(?:"[^"\\n]*"|[\\d.]+)'
  const list = new RegExp(`\\[\\n\\s+(${word}(?:,\\n\\s+${word})*)\\n\\s+\\]`, 'g')
  const text = JSON.stringify(jsonSchema(), null, 2).replace(list, (_, words: string) => `[${words.replace(/,\n\s+/g, ', ')}]`)
  return `${text}\n`
}

function withExpansions(node: Json): Json {
  const out: Json = {}
  for (const [key, value] of Object.entries(node)) {
    if (key === 'properties')
      out[key] = Object.fromEntries(
        Object.entries(value as Json).map(([name, option]) => [name, orExpansion(withExpansions(option as Json))]),
      )
    else if (key === 'additionalProperties' && typeof value === 'object') out[key] = orExpansion(withExpansions(value as Json))
    else if (key === 'items') out[key] = orExpansion(withExpansions(value as Json))
    else if (key === 'anyOf') out[key] = (value as Json[]).map(withExpansions)
    else if ((key === 'maximum' || key === 'minimum') && Math.abs(value as number) === Number.MAX_SAFE_INTEGER) continue
    else out[key] = value
  }
  return out
}

const EXPANSION = { type: 'string', pattern: '\\$\\{' }

function orExpansion(option: Json): Json {
  const { description, default: fallback, ...rest } = option
  const outer: Json = { ...(description === undefined ? {} : { description }), ...(fallback === undefined ? {} : { default: fallback }) }
  if (Array.isArray(rest.anyOf)) return { ...outer, anyOf: [...rest.anyOf, EXPANSION] }
  const isCollection = rest.type === 'object' || rest.type === 'array'
  const takesAnyText = rest.type === 'string' && rest.enum === undefined && rest.const === undefined && rest.pattern === undefined
  return isCollection || takesAnyText ? option : { ...outer, anyOf: [rest, EXPANSION] }
}
