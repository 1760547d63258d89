// The bench's own C programs, compiled where the bench runs, and what wrk and h2load print, in numbers.
import { execFile, execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** No load takes this much longer than it was told to. */
const GRACE_MS = 20_000

export interface Load {
  requests: number
  /** Answers other than 2xx with grpc-status 0 and all their bytes. */
  errors: number
  seconds: number
  p50Ms?: number
  p99Ms?: number
}

export interface Tools {
  origin: string
  load: string
}

/** Compiles origin.c and load.c into the directory.  Throws with what the compiler says. */
export function compileTools(directory: string): Tools {
  const built = (name: string): string => {
    const source = fileURLToPath(new URL(`../../../bench/proxy/${name}.c`, import.meta.url))
    execFileSync('cc', ['-O2', '-o', join(directory, name), source])
    return join(directory, name)
  }
  return { origin: built('origin'), load: built('load') }
}

/** Runs a load program to its end.  Throws with what it wrote to stderr. */
export async function output(command: string, args: string[], seconds: number): Promise<string> {
  const { stdout } = await run(command, args, { timeout: seconds * 1000 + GRACE_MS, killSignal: 'SIGKILL', maxBuffer: 2 ** 24 })
  return stdout
}

/** What `load` and the gRPC client print. */
export function ownLoad(text: string): Load {
  return JSON.parse(text) as Load
}

/** replyBytes: of each message. h2load counts statuses only, so a reply that lacks bytes is found by their sum.  Throws where nothing was done. */
export function h2loadOutput(text: string, replyBytes: number): Load {
  const [done, failed, errored, timedOut] = [/(\d+) done/, /(\d+) failed/, /(\d+) errored/, /(\d+) timeout/].map(pattern =>
    number(text, pattern),
  )
  const good = number(text, /status codes: (\d+) 2xx/)
  const dataBytes = number(text, /\((\d+)\) data/)
  const seconds = number(text, /finished in ([\d.]+)s/)
  if (!done) throw new Error(`h2load did nothing: ${text.trim().split('\n').at(-1)}`)
  const short = Math.max(0, Math.ceil(done - dataBytes / replyBytes))
  return { requests: done, errors: Math.max(done - good, short, (failed ?? 0) + (errored ?? 0) + (timedOut ?? 0)), seconds }
}

/** Throws where nothing was done. */
export function wrkOutput(text: string): Load {
  const requests = number(text, /(\d+) requests in/)
  if (!requests) throw new Error('wrk did nothing')
  const socketErrors = [...(/Socket errors: (.*)/.exec(text)?.[1] ?? '').matchAll(/\d+/g)].reduce((sum, [count]) => sum + Number(count), 0)
  return {
    requests,
    errors: socketErrors + (number(text, /Non-2xx or 3xx responses: (\d+)/) || 0),
    seconds: milliseconds(/requests in ([\d.]+\w+)/.exec(text)?.[1]) / 1000,
    p50Ms: milliseconds(/50%\s+([\d.]+\w+)/.exec(text)?.[1]),
    p99Ms: milliseconds(/99%\s+([\d.]+\w+)/.exec(text)?.[1]),
  }
}

function number(text: string, pattern: RegExp): number {
  return Number(pattern.exec(text)?.[1] ?? Number.NaN)
}

const UNITS: Record<string, number> = { us: 0.001, ms: 1, s: 1000, m: 60_000 }

/** `1.35ms` */
function milliseconds(text = ''): number {
  const [, amount, unit = ''] = /^([\d.]+)(\w+)$/.exec(text) ?? []
  return Number(amount) * (UNITS[unit] ?? Number.NaN)
}
