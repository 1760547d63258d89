// What the bench says in the end: a table per case, the limits, the notes, and all of it as JSON.
import { CASES, type Case, type FigureName, LIMITS, type Limit } from './cases.js'
import { type Figures, type Measured, medianOf } from './measure.js'
import { median, ratio } from './numbers.js'

export const OURS = 'guard'

export interface CaseResult {
  log: 'on' | 'off'
  case: string
  peers: Measured[]
  /** By peer: what of the visible job it does not do. */
  lacks: Record<string, string[]>
}

const NAMES: Record<FigureName, { head: string; digits: number }> = {
  cpuUs: { head: 'CPU µs/req', digits: 1 },
  perSecond: { head: 'req/s', digits: 0 },
  p50Ms: { head: 'p50 ms', digits: 2 },
  p99Ms: { head: 'p99 ms', digits: 2 },
  rssMb: { head: 'RSS MB', digits: 1 },
  mbPerCpuSecond: { head: 'MB/CPU-s', digits: 0 },
  kbPerConnection: { head: 'KB/connection', digits: 2 },
}
const SHORT: Record<FigureName, string> = { ...mapped(name => NAMES[name].head), cpuUs: 'CPU', p99Ms: 'p99', rssMb: 'RSS' }

function mapped(of: (name: FigureName) => string): Record<FigureName, string> {
  return Object.fromEntries((Object.keys(NAMES) as FigureName[]).map(name => [name, of(name)])) as Record<FigureName, string>
}

/** Returns Markdown without a newline at the end.  missing: lines about peers that are not installed. */
export function report(results: CaseResult[], missing: string[]): string {
  const logs = (['on', 'off'] as const).filter(log => results.some(result => result.log === log))
  const tables = logs.flatMap(log => [`# Access log ${log} for all`, ...results.filter(result => result.log === log).map(caseTable)])
  const limits = limitsOf(results)
  const told = limits.filter(({ ratio: found }) => found !== null)
  return [...tables, ...(told.length > 0 ? [limitTable(told)] : []), notes(results, missing)].filter(part => part !== '').join('\n\n')
}

function caseTable(result: CaseResult): string {
  const which = CASES.find(({ name }) => name === result.case) as Case
  const ours = result.peers.find(({ peer }) => peer === OURS)
  const head = [
    '',
    ...which.figures.map(figure => NAMES[figure].head),
    ...which.main.map(figure => `ours/its ${SHORT[figure]}`),
    'errors',
    'noise',
  ]
  const rows = result.peers.map(measured => [
    measured.peer,
    ...which.figures.map(figure => shown(medianOf(measured, figure), NAMES[figure].digits)),
    ...which.main.map(figure => ratioCell(ours, measured, figure)),
    errorsCell(measured),
    noiseCell(measured),
  ])
  return `## ${result.case}: ${which.about}\n\n${markdown([head, ...rows])}`
}

function ratioCell(ours: Measured | undefined, theirs: Measured, figure: FigureName): string {
  if (ours === undefined || theirs.peer === OURS || !isPeer(theirs)) return ''
  return shown(ratioOf(ours, theirs, figure), 2)
}

const isPeer = ({ peer }: Measured): boolean => peer !== 'origin alone'

/** Same-round; null where either has no figure. */
function ratioOf(ours: Measured, theirs: Measured, figure: FigureName): number | null {
  if (medianOf(ours, figure) === null || medianOf(theirs, figure) === null) return null
  const values = ({ rounds }: Measured): (number | null)[] => rounds.map(round => round?.[figure] ?? null)
  return ratio(values(ours), values(theirs))
}

function errorsCell(measured: Measured): string {
  const [errors, requests] = totals(measured)
  if (errors > 0) return `${errors} of ${requests}`
  return measured.rounds.includes(null) || measured.rounds.length === 0 ? 'failed' : '0'
}

/** How much of the proxy's CPU others had meanwhile. */
function noiseCell(measured: Measured): string {
  const shares = measured.rounds.flatMap(round => round?.othersShare ?? [])
  return isPeer(measured) && shares.length > 0 ? `${(100 * median(shares)).toFixed(0)} %` : ''
}

function totals({ rounds }: Measured): [errors: number, requests: number] {
  return rounds.reduce<[number, number]>(
    ([errors, requests], round) => [errors + (round?.errors ?? 0), requests + (round?.requests ?? 0)],
    [0, 0],
  )
}

export interface LimitResult extends Limit {
  ratio: number | null
  holds: boolean | null
}

/** With the access log on. */
export function limitsOf(results: CaseResult[]): LimitResult[] {
  return LIMITS.map(limit => {
    const peers = results.find(result => result.log === 'on' && result.case === limit.case)?.peers ?? []
    const [ours, theirs] = [OURS, limit.peer].map(name => peers.find(({ peer }) => peer === name))
    const found = ours === undefined || theirs === undefined ? null : ratioOf(ours, theirs, limit.figure)
    const { bound } = limit
    return { ...limit, ratio: found, holds: found === null ? null : 'atMost' in bound ? found <= bound.atMost : found >= bound.atLeast }
  })
}

function limitTable(limits: LimitResult[]): string {
  const rows = limits.map(({ case: name, figure, peer, bound, ratio: found, holds }) => [
    name,
    `${NAMES[figure].head} / ${peer}'s`,
    'atMost' in bound ? `<= ${bound.atMost}` : `>= ${bound.atLeast}`,
    shown(found, 2),
    holds ? 'ok' : 'MISSED',
  ])
  return `# Limits of issue 3, access log on\n\n${markdown([['case', 'ours / its', 'limit', 'seen', ''], ...rows])}`
}

function notes(results: CaseResult[], missing: string[]): string {
  const cases = new Map<string, Set<string>>()
  const tell = (peer: string, what: string, where: string): unknown =>
    cases.set(`${peer}: ${what}`, (cases.get(`${peer}: ${what}`) ?? new Set()).add(where))
  for (const { log, case: name, peers, lacks } of results) {
    for (const [peer, parts] of Object.entries(lacks)) if (parts.length > 0) tell(peer, parts.join(', '), name)
    for (const { peer, note } of peers) if (note !== '') tell(peer, note, `${name} log ${log}`)
  }
  const lines = [...missing, ...[...cases].map(([what, where]) => `${what} (${[...where].join(', ')})`)]
  return lines.map(line => `- ${line}`).join('\n')
}

function shown(value: number | null, digits: number): string {
  return value === null ? '-' : value.toFixed(digits)
}

/** Cells padded, so that it reads as well in a terminal. */
function markdown(rows: string[][]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const lines = rows.map(
    row => `| ${row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(' | ')} |`,
  )
  const rule = `|${widths.map((width, at) => (at === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [lines[0], rule, ...lines.slice(1)].join('\n')
}

/** The `results` of the JSON output; see the help. */
export function jsonResults(results: CaseResult[]): object[] {
  return results.flatMap(result => {
    const ours = result.peers.find(({ peer }) => peer === OURS)
    return result.peers.map(measured => {
      const [errors, requests] = totals(measured)
      const ratios = ours !== undefined && isPeer(measured) ? mappedFigures(figure => ratioOf(ours, measured, figure)) : null
      const figures = mappedFigures(figure => medianOf(measured, figure))
      const { peer, note, rounds } = measured
      return { log: result.log, case: result.case, peer, figures, ratios, errors, requests, lacks: result.lacks[peer] ?? [], note, rounds }
    })
  })
}

function mappedFigures(of: (figure: FigureName) => number | null): Figures {
  return Object.fromEntries((Object.keys(NAMES) as FigureName[]).map(figure => [figure, of(figure)])) as Figures
}

/** A measurement that failed, or had errors. */
export function anythingWrong(results: CaseResult[]): boolean {
  return results.some(({ peers }) => peers.some(measured => errorsCell(measured) !== '0'))
}
