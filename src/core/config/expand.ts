// Expansions in option texts: ${here} ${program} ${group} ${num} ${port} ${host} ${env.NAME:-default}, and $${ for a plain ${.
import { nearest } from './problem.js'
import { expansionEnds } from './words.js'

/** The names an expansion may use.  A name that is null is known but has no value here (`${port}` of a program without one). */
export interface Scope {
  names: Readonly<Record<string, string | null>>
  env: Readonly<Record<string, string | undefined>>
}

/** Names known in a program's options. */
export const INSTANCE_NAMES = ['here', 'program', 'group', 'num', 'port', 'host'] as const

/** A default may hold an expansion again, this many deep. */
const NESTING_MAX = 8

export interface Expanded {
  text: string
  /** What is wrong, in words that follow the option's name. `plain`: says nothing that stood in the text (for secrets). */
  errors: { message: string; plain: string }[]
}

/** Replaces every expansion once; what comes out is not looked at again.  Where errors is not empty, text is of no use.  Throws nothing. */
export function expand(text: string, scope: Scope): Expanded {
  return expandDeep(text, scope, 1)
}

function expandDeep(text: string, scope: Scope, depth: number): Expanded {
  const errors: Expanded['errors'] = []
  const ends = expansionEnds(text)
  let out = ''
  let at = 0
  while (at < text.length) {
    const dollar = text.indexOf('$', at)
    if (dollar < 0) break
    out += text.slice(at, dollar)
    if (text.startsWith('$${', dollar)) {
      out += '${'
      at = dollar + 3
    } else if (text.startsWith('${', dollar)) {
      const end = ends.get(dollar)
      if (end === undefined) return { text: '', errors: [...errors, same('has a "${" without its "}"; write $${ for a plain ${')] }
      const one = expandOne(text.slice(dollar + 2, end - 1), scope, depth)
      out += one.text
      errors.push(...one.errors)
      at = end
    } else {
      out += '$'
      at = dollar + 1
    }
  }
  return { text: out + text.slice(at), errors }
}

function expandOne(inner: string, scope: Scope, depth: number): Expanded {
  if (inner.startsWith('env.')) return expandVariable(inner.slice(4), scope, depth)
  const value = Object.hasOwn(scope.names, inner) ? scope.names[inner]! : undefined
  if (typeof value === 'string') return { text: value, errors: [] }
  if (value === null) return failed(same(`uses \${${inner}}, but the program has no ${inner}`))
  return failed(unknownName(inner, scope))
}

function expandVariable(inner: string, scope: Scope, depth: number): Expanded {
  const match = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/.exec(inner)
  if (match === null)
    return failed({ message: `has the expansion "\${env.${inner}}"; ${ENV_FORM}`, plain: `has a malformed expansion; ${ENV_FORM}` })
  const [, name, fallback] = match
  const value = scope.env[name!]
  if (fallback === undefined) {
    return value === undefined
      ? failed(same(`needs the environment variable ${name}, which is not set; \${env.${name}:-default} gives a default`))
      : { text: value, errors: [] }
  }
  if (depth === NESTING_MAX) return failed(same(`nests expansions more than ${NESTING_MAX} deep`))
  const inDefault = expandDeep(fallback, scope, depth + 1)
  return value === undefined || value === '' ? inDefault : { text: value, errors: inDefault.errors }
}

const ENV_FORM = 'expected ${env.NAME} or ${env.NAME:-default}'

function unknownName(inner: string, scope: Scope): Expanded['errors'][number] {
  const known = [...Object.keys(scope.names), 'env.NAME']
  const allowed = `known here are ${known.map(name => `\${${name}}`).join(' ')}; write $\${ for a plain \${`
  const elsewhere = INSTANCE_NAMES.some(name => name === inner)
  if (elsewhere) return same(`uses \${${inner}}, which has no meaning here; ${allowed}`)
  const near = nearest(inner, known)
  const shown = inner.length > 40 ? `${inner.slice(0, 37)}...` : inner
  return {
    message: `has an unknown expansion "\${${shown}}"; ${near === null ? allowed : `did you mean "\${${near}}"?`}`,
    plain: `has an unknown expansion; ${allowed}`,
  }
}

function same(message: string): Expanded['errors'][number] {
  return { message, plain: message }
}

function failed(error: Expanded['errors'][number]): Expanded {
  return { text: '', errors: [error] }
}
