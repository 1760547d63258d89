// What the machine does to a test: cores of its own, and how long others have kept them.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'

/** How long a process's main thread has been ready to run and not run, since its beginning; 0 where the kernel does not count it, or it has ended. */
export function waitedForCoreMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')[1]) / 1e6
  } catch {
    return 0
  }
}

const TICK_MS = 10
const STEAL = 8

/** How long the host has kept a core from this machine: the mean of its cores, since the machine began. */
export function stolenMs(): number {
  const [total] = readFileSync('/proc/stat', 'latin1').split('\n')
  return (Number(total!.split(/ +/)[STEAL] ?? 0) * TICK_MS) / cpus().length
}

/** Begins to count.  Returns the ms since then without what the machine kept from these processes: for upper limits, which would else judge the machine.
 *  A pid for each process that the time is spent in; lower limits want the plain clock. */
export function fairClock(...pids: number[]): () => number {
  const lost = () => pids.reduce((sum, pid) => sum + waitedForCoreMs(pid), stolenMs())
  const beganMs = performance.now()
  const lostMs = lost()
  return () => performance.now() - beganMs - Math.max(0, lost() - lostMs)
}

/** One process on the first core and the others on the second, so that what they measure of each other is not the scheduler.
 *  Returns whether there are two, and a tool to say so (util-linux). */
export function parted(alone: number, others: readonly number[]): boolean {
  if (cpus().length < 2) return false
  const pin = (core: number, pid: number) => execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', `${core}`, `${pid}`])
  try {
    pin(0, alone)
    for (const pid of others) pin(1, pid)
    return true
  } catch {
    return false
  }
}
