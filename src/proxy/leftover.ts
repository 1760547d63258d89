// Workers that outlived their daemon: found by their state files, checked against /proc, asked to drain.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'

export const WORKER_SCRIPT = '/src/proxy/worker.js'

/** Asks every worker that an earlier daemon of this run directory left behind to drain.  Returns their pids.
 *  runDir: absolute.  A state file is only a hint: what gets the signal must be a process of ours by its command line. */
export function drainLeftovers(runDir: string): number[] {
  const directory = join(runDir, 'proxy')
  const found: number[] = []
  for (const name of existsSync(directory) ? readdirSync(directory) : []) {
    const pid = Number(STATE_FILE.exec(name)?.[1] ?? 0)
    if (pid === 0) continue
    if (isWorkerOf(pid, runDir)) {
      process.kill(pid, 'SIGTERM')
      found.push(pid)
    } else rmSync(join(directory, name), { force: true })
  }
  return found
}

const STATE_FILE = /^worker-([1-9][0-9]{0,9})\.json$/

/** Is this pid a worker that was started for this run directory? */
export function isWorkerOf(pid: number, runDir: string): boolean {
  if (pid === process.pid) return false
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    const at = words.findIndex(word => word.endsWith(WORKER_SCRIPT))
    return at > 0 && words[at + 1] === runDir
  } catch {
    // No such process.
    return false
  }
}
