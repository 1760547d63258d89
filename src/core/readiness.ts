// Probe thresholds: when an instance counts as ready.

export interface Readiness {
  readonly ready: boolean
  /** Failed probes in a row. */
  readonly failures: number
}

export const UNREADY: Readiness = { ready: false, failures: 0 }
export const READY: Readiness = { ready: true, failures: 0 }

/** Takes one probe result into account.  limit: failures in a row that make a ready instance unready.
 *  One success makes ready: a service that answers is a service, and waiting longer would only hold requests back. */
export function observe(readiness: Readiness, result: 'pass' | 'fail', limit: number): Readiness {
  if (result === 'pass') return { ready: true, failures: 0 }
  const failures = readiness.failures + 1
  return { ready: readiness.ready && failures < limit, failures }
}

const FIRST_PROBE_MS = 50
const GROWTH = 1.5

/** Wait before the next probe.  Until the first success probes come quickly (50 ms, growing to the interval), so that a service takes traffic
 *  as soon as it can.  attempts: probes so far without a success since the program started, >= 0. */
export function probeDelayMs(readiness: Readiness, attempts: number, intervalMs: number): number {
  if (readiness.ready) return intervalMs
  return Math.min(intervalMs, Math.round(FIRST_PROBE_MS * GROWTH ** Math.min(attempts, 50)))
}
