// What the soak says in the end, for people.
import type { KindCount } from './ledger.js'
import type { Verdict } from './verdict.js'

/** troubles: how often each thing was done.  Returns Markdown without a newline at the end. */
export function report(verdict: Verdict, counts: Record<string, KindCount>, troubles: Record<string, number>): string {
  const { requests, rssMb, fds, connections } = verdict
  const mb = (value: number): string => `${value.toFixed(1)} MB`
  const lines = [
    ['requests', String(requests)],
    ['trouble', entries(troubles)],
    ['RSS', `${mb(rssMb.before)} before, ${mb(rssMb.warm)} warm, at most ${mb(rssMb.most)}, ${mb(rssMb.after)} after`],
    ['RSS slope after warm-up', `${rssMb.slopePerHour.toFixed(1)} MB/h`],
    ...(rssMb.heapSlopePerHour === null ? [] : [['heap slope after warm-up', `${rssMb.heapSlopePerHour.toFixed(1)} MB/h`]]),
    ['open files', `${fds.before} before, ${fds.least}-${fds.most} under load, ${fds.after} after`],
    [
      'connections',
      `at most ${connections.downstreamMost} from clients, ${connections.upstreamMost} to services, ${connections.after} after`,
    ],
    ['in flight at a kill', entries(verdict.inFlightAtKills)],
    ['unexplained', entries(verdict.unexplained)],
    ['faults', verdict.faults.length === 0 ? 'none' : verdict.faults.join('\n  ')],
    ['verdict', verdict.wrong.length === 0 ? 'the worker is as it was' : verdict.wrong.join('; ')],
  ]
  const kinds = Object.entries(counts).map(([kind, { done, failed, heldBack }]) => `| ${kind} | ${done} | ${failed} | ${heldBack} |`)
  return [
    ...lines.map(([name, value]) => `${name}: ${value}`),
    '',
    '| kind | done | failed | held back |',
    '|---|--:|--:|--:|',
    ...kinds,
  ].join('\n')
}

function entries(counts: Record<string, number>): string {
  const all = Object.entries(counts)
  return all.length === 0 ? 'none' : all.map(([name, count]) => `${count} × ${name}`).join('\n  ')
}
