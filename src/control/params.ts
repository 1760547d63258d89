// What requests may carry: one check per parameter of the command table.  By hand, since zod would cost the daemon 7 MB for seven of them.
import { AppError } from '../core/error.js'
import type { COMMANDS, ParamName, RemoteCommand } from './command-table.js'
import { DEFAULT_TAIL_BYTES } from './log-reader.js'

const MAX_NAMES = 1000
const MAX_NAME_CHARACTERS = 512
const MAX_SIGNAL_CHARACTERS = 32

/** Gives the checked value, or what was expected instead.  undefined: the parameter was not there. */
type Check<T> = (value: unknown) => { value: T } | { expected: string }

const PARAMS = {
  names: namesCheck,
  name: textCheck(MAX_NAME_CHARACTERS),
  signal: textCheck(MAX_SIGNAL_CHARACTERS),
  wait: wordCheck('yes', 'no'),
  channel: wordCheck('stdout', 'stderr'),
  bytes: bytesCheck,
  follow: wordCheck('no', 'yes'),
} as const satisfies Record<ParamName, Check<unknown>>

type Taken<C extends RemoteCommand> = (typeof COMMANDS)[C]['http']['takes'][number]
type Checked<K extends ParamName> = Extract<ReturnType<(typeof PARAMS)[K]>, { value: unknown }>['value']

/** The checked parameters of a command. */
export type Params<C extends RemoteCommand> = { [K in Taken<C>]: Checked<K> }

/** Returns the reader of one command's parameters; it throws USAGE and names every problem at once. */
export function paramsReader(takes: readonly ParamName[]): (input: unknown) => unknown {
  return input => {
    const given = input ?? {}
    if (typeof given !== 'object' || Array.isArray(given)) throw new AppError('USAGE', 'expected a JSON object')
    const values: Record<string, unknown> = {}
    const problems = Object.keys(given)
      .filter(key => !takes.includes(key as ParamName))
      .map(key => `unknown parameter "${key.slice(0, MAX_SIGNAL_CHARACTERS)}"`)
    for (const name of takes) {
      const result = PARAMS[name]((given as Record<string, unknown>)[name])
      if ('value' in result) values[name] = result.value
      else problems.push(`${name}: expected ${result.expected}`)
    }
    if (problems.length > 0) throw new AppError('USAGE', problems.join('; '))
    return values
  }
}

function textCheck(most: number): Check<string> {
  return value =>
    typeof value === 'string' && value.length >= 1 && value.length <= most ? { value } : { expected: `text of 1 to ${most} characters` }
}

/** The first word is the default. */
function wordCheck<const W extends string>(first: W, second: W): Check<W> {
  return (value = first) => (value === first || value === second ? { value: value as W } : { expected: `${first} or ${second}` })
}

/** A query carries text only, and one value where it carries a list of one. */
function namesCheck(value: unknown = []): { value: string[] } | { expected: string } {
  const list = typeof value === 'string' ? [value] : value
  const isName = (each: unknown) => 'value' in textCheck(MAX_NAME_CHARACTERS)(each)
  if (Array.isArray(list) && list.length <= MAX_NAMES && list.every(isName)) return { value: list }
  return { expected: `a list of at most ${MAX_NAMES} names, each of 1 to ${MAX_NAME_CHARACTERS} characters` }
}

function bytesCheck(value: unknown = DEFAULT_TAIL_BYTES): { value: number } | { expected: string } {
  const bytes = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value
  return typeof bytes === 'number' && Number.isSafeInteger(bytes) && bytes >= 0 ? { value: bytes } : { expected: 'a number of bytes' }
}
