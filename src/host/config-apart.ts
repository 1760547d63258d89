// Reads a configuration in a process of its own: the daemon keeps no schema and no parser in memory (11 MB, 0.3 s of its start),
// and a file that makes a parser run out of stack or memory costs that process, not the daemon.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { AppError, type ErrorCode } from '../core/error.js'
import type { Config } from '../core/spec.js'

/** What the process says. */
export type ConfigAnswer = { config: Config } | { code: ErrorCode; message: string }

const LIMIT_MS = 60_000
/** 5,000 instances with 10 KB of environment each. */
const ANSWER_MAX_BYTES = 64 * 1024 * 1024

/** ports: where each instance listens now, so that `port: auto` does not move.  Throws AppError CONFIG_UNREADABLE, CONFIG_INVALID with a line for
 *  each problem. */
export async function readConfigApart(file: string, ports: Record<string, number>): Promise<Config> {
  const entry = fileURLToPath(new URL('config-process.js', import.meta.url))
  const text = await new Promise<string>((resolve, reject) => {
    const options = { timeout: LIMIT_MS, killSignal: 'SIGKILL', maxBuffer: ANSWER_MAX_BYTES } as const
    const child = execFile(process.execPath, [entry, file], options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout)
      else
        reject(
          new AppError('CONFIG_UNREADABLE', `${file} could not be read: ${stderr.trim().split('\n').at(-1) || error.message}`, {
            cause: error,
          }),
        )
    })
    // Where it could not be started, the callback tells.
    child.stdin?.on('error', () => {})
    child.stdin?.end(JSON.stringify(ports))
  })
  const answer: ConfigAnswer = JSON.parse(text)
  if ('config' in answer) return answer.config
  throw new AppError(answer.code, answer.message)
}
