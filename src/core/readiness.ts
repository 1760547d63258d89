// Probe results and thresholds: when an instance counts as ready.

/** grpc.health.v1.HealthCheckResponse.ServingStatus, by its numbers. */
const SERVING_STATUS = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'] as const
export type ServingStatus = (typeof SERVING_STATUS)[number]

/** Of a grpc.health.v1.HealthCheckResponse { ServingStatus status = 1; } in protobuf bytes; a status left out is the first, as protobuf has it. */
export function servingStatus(reply: Uint8Array): ServingStatus {
  return (reply[0] === 0x08 && SERVING_STATUS[reply[1] ?? 0]) || 'UNKNOWN'
}

/** What a look found; a status where the service itself said it (gRPC). */
export type ProbeResult = 'pass' | ServingStatus | { fail: string }

export interface Readiness {
  readonly ready: boolean
  /** Failed probes in a row. */
  readonly failures: number
}

export const UNREADY: Readiness = { ready: false, failures: 0 }
export const READY: Readiness = { ready: true, failures: 0 }

/** Takes one probe result into account.  limit: failures in a row that make a ready instance unready.
 *  One success makes ready: a service that answers is a service, and waiting longer would only hold requests back.
 *  A failed look may be chance and is counted; what a service says of itself is a fact and is believed at once. */
export function observe(readiness: Readiness, result: ProbeResult, limit: number): Readiness {
  if (result === 'pass' || result === 'SERVING') return { ready: true, failures: 0 }
  const failures = readiness.failures + 1
  return { ready: typeof result === 'object' && readiness.ready && failures < limit, failures }
}

/** Why a result makes nothing ready; '' where it does. */
export function unreadyReason(result: ProbeResult): string {
  if (result === 'pass' || result === 'SERVING') return ''
  return typeof result === 'object' ? result.fail : `grpc health: ${result}`
}

const FIRST_PROBE_MS = 50
const GROWTH = 1.5

/** Wait before the next probe.  Until the first success probes come quickly (50 ms, growing to the interval), so that a service takes traffic
 *  as soon as it can.  attempts: probes so far without a success since the program started, >= 0. */
export function probeDelayMs(readiness: Readiness, attempts: number, intervalMs: number): number {
  if (readiness.ready) return intervalMs
  return Math.min(intervalMs, Math.round(FIRST_PROBE_MS * GROWTH ** Math.min(attempts, 50)))
}
