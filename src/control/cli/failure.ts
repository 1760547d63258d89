// Why a command of guardctl ends without its answer: what to print, and the exit code.
import { ERRORS, type ErrorCode } from '../../core/error.js'

/** line: on stdout where supervisorctl has it there, our own complaints on stderr.  hint: on stderr. */
export class Failure extends Error {
  readonly code: ErrorCode
  readonly exit: number
  readonly hint: string
  /** The line without `ERROR: ` before it, for --json. */
  readonly text: string
  readonly where: 'stdout' | 'stderr'
  constructor(code: ErrorCode, line: string, options: FailureOptions = {}) {
    super(line)
    this.name = 'Failure'
    this.code = code
    this.exit = options.exit ?? ERRORS[code].exit
    this.hint = options.hint ?? ERRORS[code].hint
    this.where = options.where ?? 'stdout'
    this.text = options.text ?? line.replace(/^Error: /, '')
  }
}

interface FailureOptions {
  exit?: number
  hint?: string
  text?: string
  where?: 'stdout' | 'stderr'
}
