// Which lines of the program `flood` are in log files: each must be there once and whole.
import { readFileSync } from 'node:fs'

export const LINE_BYTES = 100

/** files: oldest first.  lines: how many flood has written.
 *  lost: whole nowhere, not even over the border of two files.  torn: a piece of a line, or a line that a rotation has cut in two. */
export function countLines(files: string[], lines: number): { lost: number; doubled: number; torn: number } {
  const times = new Uint8Array(lines)
  let torn = 0
  let carried = Buffer.alloc(0)
  for (const file of files) {
    const bytes = Buffer.concat([carried, readFileSync(file)])
    const cut = carried.length
    let at = 0
    for (let newline = bytes.indexOf(10); newline >= 0; newline = bytes.indexOf(10, at)) {
      const number = wholeLine(bytes.subarray(at, newline + 1))
      if (number !== null && number < lines) times[number] = Math.min(255, (times[number] ?? 0) + 1)
      if (number === null || at < cut) torn += 1
      at = newline + 1
    }
    carried = bytes.subarray(at)
  }
  if (carried.length > 0) torn += 1
  return {
    lost: times.filter(seen => seen === 0).length,
    doubled: times.filter(seen => seen > 1).length,
    torn,
  }
}

/** The number of a line of flood: 12 digits, a space, one letter up to the newline; null where it is anything else. */
function wholeLine(line: Buffer): number | null {
  if (line.length !== LINE_BYTES || line[LINE_BYTES - 1] !== 10 || line[12] !== 32) return null
  let number = 0
  for (let at = 0; at < 12; at += 1) number = number * 10 + (line[at] ?? 0) - 48
  const letter = 97 + (number % 26)
  for (let at = 13; at < LINE_BYTES - 1; at += 1) if (line[at] !== letter) return null
  return number >= 0 ? number : null
}
