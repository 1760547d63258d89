// What the soak has found: slopes, extremes, failures by cause, and whether the worker is as it was.
import { median } from '../proxy/numbers.js'
import { byCause, isExplained, type Ledger } from './ledger.js'
import type { Sample } from './samples.js'

/** Memory that may stay, as a part of what there was at the end of the warm-up. */
export const RSS_SLACK = 1.15
const WARM_UP_PART = 0.25
const LONGEST_WARM_UP_MS = 300_000
const AROUND = 10
const MS_PER_HOUR = 3_600_000

export interface Found {
  ledger: Ledger
  /** Under load. */
  samples: Sample[]
  /** Before the first request, and when everybody has left. */
  before: Sample
  after: Sample
  messages: string[]
  /** Pids of the workers; one, the first, where all went well. */
  pids: number[]
  firstPid: number
}

export interface Verdict {
  requests: number
  rssMb: { before: number; warm: number; most: number; after: number; slopePerHour: number; heapSlopePerHour: number | null }
  fds: { before: number; least: number; most: number; after: number }
  connections: { downstreamMost: number; upstreamMost: number; after: number }
  inFlightAtKills: Record<string, number>
  unexplained: Record<string, number>
  faults: string[]
  /** What is wrong, in words; empty: nothing. */
  wrong: string[]
}

export function verdictOf({ ledger, samples, before, after, messages, pids, firstPid }: Found): Verdict {
  const warmUpMs = warmUpOf(samples)
  const warm = samples.filter(({ ms }) => ms >= warmUpMs)
  const around = samples.filter(({ ms }) => ms < warmUpMs).slice(-AROUND)
  const unexplained = ledger.failures.filter(failure => !isExplained(failure, ledger.kills))
  const heaps = warm.flatMap(({ ms, heapMb }) => (heapMb === undefined ? [] : [{ ms, value: heapMb }]))
  const numbers = {
    requests: Object.values(ledger.counts).reduce((sum, { done, failed }) => sum + done + failed, 0),
    rssMb: {
      before: before.rssMb,
      warm: median(around.map(({ rssMb }) => rssMb)),
      most: Math.max(...samples.map(({ rssMb }) => rssMb)),
      after: after.rssMb,
      slopePerHour: slope(warm.map(({ ms, rssMb }) => ({ ms, value: rssMb }))) * MS_PER_HOUR,
      heapSlopePerHour: heaps.length === 0 ? null : slope(heaps) * MS_PER_HOUR,
    },
    fds: {
      before: before.fds,
      least: Math.min(...warm.map(({ fds }) => fds)),
      most: Math.max(...warm.map(({ fds }) => fds)),
      after: after.fds,
    },
    connections: {
      downstreamMost: Math.max(...samples.map(({ downstream }) => downstream)),
      upstreamMost: Math.max(...samples.map(({ upstream }) => upstream)),
      after: after.downstream + after.upstream,
    },
    inFlightAtKills: byCause(ledger.failures.filter(failure => isExplained(failure, ledger.kills))),
    unexplained: byCause(unexplained),
    faults: [...messages, ...(pids.length === 1 && pids[0] === firstPid ? [] : [`worker ${firstPid} has become ${pids.join(' ')}`])],
  }
  return { ...numbers, wrong: wrongIn(numbers) }
}

export function warmUpOf(samples: Sample[]): number {
  return Math.min(LONGEST_WARM_UP_MS, (samples.at(-1)?.ms ?? 0) * WARM_UP_PART)
}

/** Is nothing left of the load?  What the bench waits for. */
export function isBack(after: Sample, before: Sample, warmMb: number): boolean {
  return after.fds <= before.fds && after.rssMb <= warmMb * RSS_SLACK
}

function wrongIn({ rssMb, fds, unexplained, faults }: Omit<Verdict, 'wrong'>): string[] {
  const wrong: string[] = []
  const failures = Object.values(unexplained).reduce((sum, count) => sum + count, 0)
  if (fds.after > fds.before) wrong.push(`${fds.after - fds.before} files stay open`)
  if (!(rssMb.after <= rssMb.warm * RSS_SLACK)) wrong.push(`${Math.round(rssMb.after - rssMb.warm)} MB stay`)
  if (failures > 0) wrong.push(`${failures} failures are unexplained`)
  if (faults.length > 0) wrong.push(`the worker has told ${faults.length} faults`)
  return wrong
}

/** Of the straight line nearest to all points, per ms. */
function slope(points: { ms: number; value: number }[]): number {
  const mean = (of: (point: { ms: number; value: number }) => number): number =>
    points.reduce((sum, each) => sum + of(each), 0) / points.length
  const ms = mean(point => point.ms)
  const value = mean(point => point.value)
  return mean(point => (point.ms - ms) * (point.value - value)) / mean(point => (point.ms - ms) ** 2)
}
