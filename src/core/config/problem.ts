// What is wrong with a configuration: where, what was found, what is allowed, and the nearest name on a typo.
import { shownFrom } from './path.js'

/** A position in a file: 1-based line and column; both 0 where the whole file (or the environment) is meant. */
export interface Place {
  file: string
  line: number
  column: number
}

export interface Problem extends Place {
  message: string
  /** The whole line as people read it: `guard.yaml:12:5: message`. */
  text: string
}

/** Problems beyond this many are counted, not listed. */
export const PROBLEMS_SHOWN = 200

/** Gathers problems while a configuration is read.  root: the directory file names are shown from. */
export interface Report {
  readonly root: string
  readonly found: { place: Place; message: string }[]
}

export function note(report: Report, place: Place, message: string): void {
  report.found.push({ place, message })
}

/** `guard.yaml:12:5`, `guard.yaml` or `environment GUARD_RUN_DIR`. */
export function shownPlace(report: Report, place: Place): string {
  const file = shownFrom(report.root, place.file)
  return place.line === 0 ? file : `${file}:${place.line}:${place.column}`
}

/** The report as a list that does not depend on the order of the checks: by file in the order given, then by position.
 *  files: absolute, in the order they were read.  At most PROBLEMS_SHOWN and one that counts the rest.  Throws nothing. */
export function sortedProblems(report: Report, files: readonly string[]): Problem[] {
  const rank = (file: string) => (files.includes(file) ? files.indexOf(file) : files.length)
  const all = report.found.map(({ place, message }) => ({ ...place, message, text: `${shownPlace(report, place)}: ${message}` }))
  all.sort((a, b) => rank(a.file) - rank(b.file) || a.line - b.line || a.column - b.column || compareText(a.message, b.message))
  const distinct = all.filter((problem, index) => problem.text !== all[index - 1]?.text)
  const rest = distinct.length - PROBLEMS_SHOWN
  if (rest <= 0) return distinct
  const message = `and ${rest} more problems`
  return [...distinct.slice(0, PROBLEMS_SHOWN), { file: files[0] ?? '', line: 0, column: 0, message, text: message }]
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** `; did you mean "command"?`, or '' where nothing comes near. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const near = nearest(name, known)
  return near === null ? '' : `; did you mean "${near}"?`
}

/** The known name with the fewest edits (insert, delete, replace, swap of neighbours), at most a third of its letters; the first on a tie.
 *  Returns null where none is near.  Throws nothing. */
export function nearest(name: string, known: Iterable<string>): string | null {
  if (name.length > 64) return null
  let best: string | null = null
  let bestEdits = Number.POSITIVE_INFINITY
  for (const candidate of known) {
    const edits = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (edits < bestEdits && edits <= Math.max(1, Math.floor(Math.max(name.length, candidate.length) / 3))) {
      best = candidate
      bestEdits = edits
    }
  }
  return best
}

/** Optimal string alignment distance. */
function editDistance(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const line = [row]
    for (let column = 1; column <= b.length; column++) {
      const replaced = last[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1)
      let edits = Math.min(last[column]! + 1, line[column - 1]! + 1, replaced)
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1])
        edits = Math.min(edits, before[column - 2]! + 1)
      line.push(edits)
    }
    before = last
    last = line
  }
  return last[b.length]!
}

/** What was written, for a message: short, and quoted where it is text. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text)
}
