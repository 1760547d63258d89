// Programs that only sleep, told apart from all other sleeps on the machine by how long.
import type { BenchProgram } from './peer.js'
import { everyone, type ProcessFacts } from './proc.js'
import { until, type Workplace } from './workplace.js'

const SECONDS = String(100_000_000 + process.pid)
const POLL_MS = 250

export function sleepers(count: number): BenchProgram[] {
  return Array.from({ length: count }, (_, n) => ({
    name: `sleep-${n}`,
    argv: ['sleep', SECONDS],
    autostart: true,
    autorestart: true,
    logBytes: 0,
  }))
}

/** Resolves when so many of them live. */
export function sleeping(count: number, place: Workplace): Promise<ProcessFacts[]> {
  return until(place, POLL_MS, () => {
    const found = everyone().filter(({ command }) => command.endsWith(`sleep ${SECONDS}`))
    return found.length >= count ? found : null
  })
}
