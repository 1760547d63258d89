// What 200 programs that do nothing cost: CPU of the supervisor's own processes, without its proxy.
import { sum } from './numbers.js'
import type { Measurement, Running } from './peer.js'
import { cpuMs } from './proc.js'
import { sleepers, sleeping } from './sleepers.js'
import { pause } from './workplace.js'

const PROGRAMS = 200
/** V8 collects once, about 10 s after the last work (150 ms of CPU, seen with --trace-gc): that is the end of the start, not idling. */
const SETTLE_MS = 20_000
const WATCH_MS = 20_000

export const idle: Measurement = {
  figures: [
    { name: 'daemon and shims', unit: 'ms/s', limit: { atMost: 2 } },
    { name: 'daemon', unit: 'ms/s', limit: null },
    { name: 'shims', unit: 'ms/s', limit: null },
  ],
  boundMs: 120_000,
  async run(peer, place) {
    const running = await peer.start(sleepers(PROGRAMS), place)
    place.stopAtEnd(running)
    await sleeping(PROGRAMS, place)
    await pause(place, SETTLE_MS)
    const before = cost(running)
    const startedMs = performance.now()
    await pause(place, WATCH_MS)
    const seconds = (performance.now() - startedMs) / 1000
    const after = cost(running)
    const daemon = (after.daemon - before.daemon) / seconds
    const shims = (after.shims - before.shims) / seconds
    return { daemon, 'daemon and shims': daemon + shims, ...(after.count > 0 && { shims }) }
  },
}

function cost(running: Running): { daemon: number; shims: number; count: number } {
  const shims = running.parts().filter(({ part }) => part === 'shim')
  return { daemon: cpuMs(running.daemonPid), shims: sum(shims.map(({ pid }) => cpuMs(pid))), count: shims.length }
}
