// A program that writes 200 MB as fast as it can, rotation at 20 MB: how fast the log takes it, and whether every line is there once and whole.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Measurement } from './peer.js'
import { rssMb } from './proc.js'
import { pause, until, type Workplace } from './workplace.js'

const MEGABYTES = 200
const LINE_BYTES = 100
const LINES = (MEGABYTES * 1e6) / LINE_BYTES
const ROTATE_BYTES = 20 * 2 ** 20
const POLL_MS = 5
const FLOOD = fileURLToPath(new URL('../../../test/fixtures/bin/flood', import.meta.url))

export const flood: Measurement = {
  figures: [
    { name: 'throughput', unit: 'MB/s', limit: { atLeast: 100 } },
    { name: 'lines lost', unit: '', limit: { atMost: 0 } },
    { name: 'lines doubled', unit: '', limit: { atMost: 0 } },
    { name: 'lines torn', unit: '', limit: { atMost: 0 } },
    { name: 'files', unit: '', limit: null },
    { name: 'daemon growth', unit: 'MB RSS', limit: null },
  ],
  boundMs: 90_000,
  async run(peer, place) {
    const program = {
      name: 'flood',
      argv: [FLOOD, String(MEGABYTES), String(LINE_BYTES)],
      autostart: false,
      autorestart: false,
      logBytes: ROTATE_BYTES,
    }
    const running = await peer.start([program], place)
    place.stopAtEnd(running)
    await pause(place, 2_000)
    const log = running.logPath('flood')
    const rssBefore = rssMb(running.daemonPid)
    const started = running.startProgram('flood')
    started.catch(() => 'a program that ends at once is no failure here; what counts is its log')
    const seconds = await timeToFill(log, place)
    const growth = rssMb(running.daemonPid) - rssBefore
    await started.catch(() => 'see above')
    const files = filesOf(log)
    return { throughput: MEGABYTES / seconds, files: files.length, 'daemon growth': growth, ...countLines(files) }
  },
}

/** From the first byte in the log to the last one. */
async function timeToFill(log: string, place: Workplace): Promise<number> {
  const startedMs = await until(place, POLL_MS, () => (existsSync(log) && statSync(log).size > 0 ? performance.now() : null))
  let before = -1
  let stillSinceMs = 0
  return until(place, POLL_MS, () => {
    const bytes = filesOf(log).reduce((sum, file) => sum + sizeOf(file), 0)
    const nowMs = performance.now()
    if (bytes !== before) stillSinceMs = nowMs
    before = bytes
    return bytes >= MEGABYTES * 1e6 || nowMs - stillSinceMs > 3_000 ? (stillSinceMs - startedMs) / 1000 : null
  })
}

/** The log's files, oldest first. */
function filesOf(log: string): string[] {
  const files = [log]
  while (existsSync(`${log}.${files.length}`)) files.push(`${log}.${files.length}`)
  return files.reverse()
}

/** 0 where a rotation has just moved it. */
function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

/** lost: whole nowhere, not even over the border of two files.  torn: a piece of a line, or a line that a rotation has cut in two. */
function countLines(files: string[]): Record<string, number> {
  const times = new Uint8Array(LINES)
  let torn = 0
  let carried = Buffer.alloc(0)
  for (const file of files) {
    const bytes = Buffer.concat([carried, readFileSync(file)])
    const cut = carried.length
    let at = 0
    for (let newline = bytes.indexOf(10); newline >= 0; newline = bytes.indexOf(10, at)) {
      const number = wholeLine(bytes, at, newline + 1)
      if (number !== null) times[number] = Math.min(255, (times[number] ?? 0) + 1)
      if (number === null || at < cut) torn += 1
      at = newline + 1
    }
    carried = bytes.subarray(at)
  }
  if (carried.length > 0) torn += 1
  return {
    'lines lost': times.filter(seen => seen === 0).length,
    'lines doubled': times.filter(seen => seen > 1).length,
    'lines torn': torn,
  }
}

/** The number of a line of flood: 12 digits, a space, one letter up to the newline; null where it is anything else. */
function wholeLine(bytes: Buffer, start: number, end: number): number | null {
  if (end - start !== LINE_BYTES || bytes[end - 1] !== 10 || bytes[start + 12] !== 32) return null
  let number = 0
  for (let at = start; at < start + 12; at += 1) number = number * 10 + (bytes[at] ?? 0) - 48
  const letter = 97 + (number % 26)
  for (let at = start + 13; at < end - 1; at += 1) if (bytes[at] !== letter) return null
  return number >= 0 && number < LINES ? number : null
}
