// The one table of the bench: a row per figure, a column per peer, how far the first peer is ahead, and whether it holds its limit.
import type { Figure, Result } from './peer.js'

/** results: of all measurements.  peers: in the order of the columns, ours first.  Returns the table without a newline at the end. */
export function table(results: Result[], peers: string[]): string {
  const head = ['', ...peers, ...peers.slice(1).map(peer => `vs ${peer}`), 'limit']
  const rows = [head, ...rowsOf(results, peers), ...notesOf(results)]
  const cells = rows.filter(row => row.length > 1)
  const widths = head.map((_, column) => Math.max(...cells.map(row => row[column]?.length ?? 0)))
  return rows
    .map(row =>
      row.length > 1
        ? row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join('  ')
        : row[0],
    )
    .join('\n')
}

function rowsOf(results: Result[], peers: string[]): string[][] {
  const keys = [...new Set(results.map(keyOf))]
  return keys.map(key => {
    const row = results.filter(result => keyOf(result) === key)
    const values = peers.map(peer => row.find(result => result.peer === peer)?.value ?? null)
    const figure = row[0]?.figure as Figure
    const [ours = null, ...theirs] = values
    const label = `${key}${figure.unit === '' ? '' : `, ${figure.unit}`}`
    return [
      label,
      ...values.map(shown),
      ...theirs.map(their => ratio(ours, their, figure)),
      limit(row.find(result => result.peer === 'guard')?.value ?? null, figure),
    ]
  })
}

function keyOf({ measurement, figure }: Result): string {
  return `${measurement}: ${figure.name}`
}

function notesOf(results: Result[]): string[][] {
  const notes = results
    .filter(({ note }) => note !== '')
    .map(({ measurement, peer, note }) => (note === 'not installed' ? `${peer}: ${note}` : `${measurement}, ${peer}: ${note}`))
  return [...new Set(notes)].map(note => [note])
}

function shown(value: number | null): string {
  if (value === null) return '-'
  return Number.isInteger(value) ? String(value) : value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)
}

/** How many times better ours is; counts have no ratio. */
function ratio(ours: number | null, theirs: number | null, { unit, limit: wanted }: Figure): string {
  if (ours === null || theirs === null || unit === '' || ours === 0 || theirs === 0) return '-'
  const better = wanted !== null && 'atLeast' in wanted ? ours / theirs : theirs / ours
  return `${better.toFixed(better < 10 ? 2 : 0)}x`
}

function limit(ours: number | null, { limit: wanted }: Figure): string {
  if (wanted === null) return ''
  const [text, holds] =
    'atMost' in wanted
      ? [`<= ${wanted.atMost}`, ours !== null && ours <= wanted.atMost]
      : [`>= ${wanted.atLeast}`, ours !== null && ours >= wanted.atLeast]
  return ours === null ? text : `${text} ${holds ? 'ok' : 'MISSED'}`
}
