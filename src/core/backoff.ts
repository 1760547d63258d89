// How long to wait before the next start.
import type { Policy } from './spec.js'

const FACTOR = 1.6
const JITTER = 0.2

/** Wait before the next start attempt.  failures: deaths in this crash window that count, >= 1.  random: [0, 1).
 *  Returns ms, 0 <= d <= policy.backoffMaxMs.  Throws nothing.
 *  Source: gRPC's connection backoff (x1.6, jitter 0.2): gentle at first, and 200 programs do not come back in one beat. */
export function backoffMs(failures: number, policy: Pick<Policy, 'backoffBaseMs' | 'backoffMaxMs'>, random: number): number {
  const grown = policy.backoffBaseMs * FACTOR ** Math.min(failures - 1, 100)
  const jittered = Math.min(grown, policy.backoffMaxMs) * (1 + JITTER * (2 * random - 1))
  return Math.min(Math.round(jittered), policy.backoffMaxMs)
}
