// A program that writes 200 MB as fast as it can, rotation at 20 MB: how fast the log takes it, and whether every line is there once and whole.
import { existsSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { countLines, LINE_BYTES } from './flood-lines.js'
import type { Measurement } from './peer.js'
import { rssMb } from './proc.js'
import { until, type Workplace } from './workplace.js'

const MEGABYTES = 200
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
    await running.ready()
    const log = running.logPath('flood')
    const rssBefore = rssMb(running.daemonPid)
    const started = running.startProgram('flood')
    started.catch(() => 'a program that ends at once is no failure here; what counts is its log')
    const seconds = await timeToFill(log, place)
    const growth = rssMb(running.daemonPid) - rssBefore
    await started.catch(() => 'see above')
    const files = filesOf(log)
    const { lost, doubled, torn } = countLines(files, LINES)
    return {
      throughput: MEGABYTES / seconds,
      files: files.length,
      'daemon growth': growth,
      'lines lost': lost,
      'lines doubled': doubled,
      'lines torn': torn,
    }
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
