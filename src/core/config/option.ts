// Building blocks of the schema: kinds of options, each with the words an error or the reference needs.
import * as z from 'zod'
import { DURATION_MAX_MS, DURATION_PATTERN, parseDuration, parseSignal, parseSize, SIZE_PATTERN, showDuration } from './units.js'

/** What is told about an option beside its zod type. */
export interface Details {
  /** What it does, in one or two sentences. */
  text: string
  /** Its kind in a word or two, for the reference. */
  type: string
  /** The default in words, where it is not a plain value. */
  fallback?: string
  /** `instance`: expanded anew for every instance; else once, with ${here} and ${env.NAME} only. */
  scope?: 'instance'
  /** Numbers are taken as the digits that were written (022, 1.10). */
  asWritten?: true
  /** Values never appear in messages. */
  secret?: true
}

export const details = z.registry<Details>()

/** The last step of every option: describes it for the reference, the editors' schema and the error texts. */
export function option<T extends z.ZodType>(schema: T, about: Details): T {
  const described = schema.describe(about.text)
  details.add(described, about)
  return described
}

/** Errors of options begin with `expected`; the loader puts the option and what was found before it. */
export function text(expected: string): z.ZodString {
  return z
    .string({ error: expected })
    .min(1, { error: expected })
    .refine(value => !value.includes('\0'), { error: expected })
}

export function matching(pattern: RegExp, expected: string): z.ZodString {
  return z.string({ error: expected }).regex(pattern, { error: expected })
}

export function whole(least: number, most: number, error = `expected a whole number from ${least} to ${most}`): z.ZodInt {
  return z.int({ error }).min(least, { error }).max(most, { error })
}

export function flag(): z.ZodBoolean {
  return z.boolean({ error: 'expected true or false' })
}

export function choice<const T extends readonly [string, ...string[]]>(...words: T): z.ZodEnum<{ [K in T[number]]: K }> {
  return z.enum(words, { error: `expected ${inWords(words)}` }) as never
}

/** Becomes ms. */
export function duration(leastMs = 0) {
  const expected = 'expected a duration such as 10s, 500ms or a number of seconds'
  return z
    .union(
      [
        z.string({ error: expected }).regex(DURATION_PATTERN, { error: expected }),
        z.number({ error: expected }).min(0, { error: expected }),
      ],
      { error: expected },
    )
    .transform((value, context) => {
      const ms = parseDuration(value)
      if (ms !== null && ms >= leastMs && ms <= DURATION_MAX_MS) return ms
      context.issues.push({
        code: 'custom',
        input: value,
        message: `expected a duration from ${showDuration(leastMs)} to ${showDuration(DURATION_MAX_MS)}`,
      })
      return z.NEVER
    })
}

/** Becomes bytes. */
export function size(least = 0, most = 2 ** 50) {
  const expected = 'expected a size such as 50MB, 64KB or a number of bytes'
  return z
    .union(
      [z.string({ error: expected }).regex(SIZE_PATTERN, { error: expected }), z.int({ error: expected }).min(0, { error: expected })],
      { error: expected },
    )
    .transform((value, context) => {
      const bytes = parseSize(value)
      if (bytes !== null && bytes >= least && bytes <= most) return bytes
      context.issues.push({ code: 'custom', input: value, message: `expected a size from ${showSize(least)} to ${showSize(most)}` })
      return z.NEVER
    })
}

/** Becomes a list of texts: a list, or one text with commas between its items, as the environment has it.  each: what an item must be. */
export function texts(each: (item: string) => boolean, expected: string) {
  const item = text(expected).refine(each, { error: expected })
  return z.union([z.string({ error: expected }), z.array(item)], { error: expected }).transform((value, context) => {
    const items = typeof value === 'string' ? value.split(',').map(part => part.trim()) : value
    const all = typeof value === 'string' ? items.filter(part => part !== '') : items
    if (all.every(each)) return all
    context.issues.push({ code: 'custom', input: value, message: expected })
    return z.NEVER
  })
}

/** Becomes a SignalName. */
export function signal() {
  const expected = 'expected one of TERM HUP INT QUIT KILL USR1 USR2 CONT STOP'
  return z.string({ error: expected }).transform((value, context) => {
    const name = parseSignal(value)
    if (name !== null) return name
    context.issues.push({ code: 'custom', input: value, message: expected })
    return z.NEVER
  })
}

/** A map of options; others are errors. */
export function options<T extends z.ZodRawShape>(shape: T) {
  return z.strictObject(shape, { error: issue => (issue.code === 'invalid_type' ? 'expected a map of options' : undefined) })
}

function inWords(words: readonly string[]): string {
  return words.length === 1 ? words[0]! : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}

function showSize(bytes: number): string {
  for (const [unit, factor] of [
    ['TB', 1024 ** 4],
    ['GB', 1024 ** 3],
    ['MB', 1024 ** 2],
    ['KB', 1024],
  ] as const) {
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`
  }
  return String(bytes)
}
