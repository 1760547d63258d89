// What requests may carry: one zod schema per parameter of the command table.
import { z } from 'zod'
import { AppError } from '../core/error.js'
import type { COMMANDS, ParamName, RemoteCommand } from './command-table.js'
import { DEFAULT_TAIL_BYTES } from './log-reader.js'

const MAX_NAMES = 1000
const MAX_NAME_CHARACTERS = 512

const name = z.string().min(1).max(MAX_NAME_CHARACTERS)

// A query carries text only, and one value where it carries a list of one.
const PARAMS = {
  names: z.preprocess(value => (typeof value === 'string' ? [value] : value), z.array(name).max(MAX_NAMES)).default([]),
  name,
  signal: z.string().min(1).max(32),
  wait: z.enum(['yes', 'no']).default('yes'),
  channel: z.enum(['stdout', 'stderr']).default('stdout'),
  bytes: z
    .union([
      z.number(),
      z
        .string()
        .regex(/^\d{1,16}$/, 'expected a number of bytes')
        .transform(Number),
    ])
    .pipe(z.number().int().min(0))
    .default(DEFAULT_TAIL_BYTES),
  follow: z.enum(['yes', 'no']).default('no'),
} as const satisfies Record<ParamName, z.ZodType>

type Taken<C extends RemoteCommand> = (typeof COMMANDS)[C]['http']['takes'][number]

/** The checked parameters of a command. */
export type Params<C extends RemoteCommand> = { [K in Taken<C>]: z.output<(typeof PARAMS)[K]> }

/** Returns the reader of one command's parameters; it throws USAGE and names every problem at once. */
export function paramsReader(takes: readonly ParamName[]): (input: unknown) => unknown {
  const schema = z.strictObject(Object.fromEntries(takes.map(taken => [taken, PARAMS[taken]])))
  return input => {
    const result = schema.safeParse(input ?? {})
    if (result.success) return result.data
    const problems = result.error.issues.map(issue =>
      issue.path.length === 0 ? issue.message : `${issue.path.join('.')}: ${issue.message}`,
    )
    throw new AppError('USAGE', problems.join('; '))
  }
}
