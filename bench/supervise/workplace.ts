// A directory of its own for each run, in which everything started works, so that what is left behind can be found and ended.
import { mkdtempSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Running } from './peer.js'
import { everyone, type ProcessFacts } from './proc.js'

export interface Workplace {
  directory: string
  /** Aborted when the time of the measurement is over. */
  over: AbortSignal
  /** Everything given here is stopped at the end. */
  stopAtEnd(running: Running): void
}

const STOP_MS = 60_000

/** Runs `work` for at most boundMs, then stops what runs, whatever came of it.
 *  What is still there after that is named on stderr and killed.  Throws what work throws. */
export async function withWorkplace<T>(boundMs: number, work: (place: Workplace) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'guard-bench-'))
  const over = AbortSignal.timeout(boundMs)
  const started: Running[] = []
  try {
    return await orOver(work({ directory, over, stopAtEnd: running => started.push(running) }), over)
  } finally {
    await cleanUp(directory, started)
  }
}

async function cleanUp(directory: string, started: Running[]): Promise<void> {
  try {
    for (const running of started) await orOver(running.stop(), AbortSignal.timeout(STOP_MS))
  } finally {
    const left = livingIn(directory)
    for (const { pid } of left) process.kill(pid, 'SIGKILL')
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
    if (left.length > 0) process.stderr.write(`left behind and killed: ${left.map(({ command }) => command).join(', ')}\n`)
  }
}

/** Polls until `found` gives something, for as long as the measurement may take. */
export async function until<T>(place: Workplace, pauseMs: number, found: () => T | null): Promise<T> {
  while (true) {
    const value = found()
    if (value !== null) return value
    await pause(place, pauseMs)
  }
}

/** Rejects when the time of the measurement is over. */
export async function pause(place: Workplace, ms: number): Promise<void> {
  place.over.throwIfAborted()
  await new Promise(resolve => setTimeout(resolve, ms))
}

async function orOver<T>(work: Promise<T>, over: AbortSignal): Promise<T> {
  let onAbort: () => void = () => undefined
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(new Error('took too long'))
    over.addEventListener('abort', onAbort)
  })
  return Promise.race([work, aborted]).finally(() => over.removeEventListener('abort', onAbort))
}

/** Processes whose working directory is below this one. */
function livingIn(directory: string): ProcessFacts[] {
  return everyone().filter(({ pid }) => workingDirectory(pid).startsWith(directory))
}

/** '' for a process that has gone in the meantime, or whose directory nobody may see. */
function workingDirectory(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return ''
  }
}
