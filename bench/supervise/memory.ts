// Memory with 50 programs and, where the peer has one, a proxy worker.
import { createServer } from 'node:net'
import { sum } from './numbers.js'
import type { Measurement, Running } from './peer.js'
import { privateMb, rssMb } from './proc.js'
import { sleepers, sleeping } from './sleepers.js'
import { pause } from './workplace.js'

const PROGRAMS = 50
const SETTLE_MS = 4_000

export const memory: Measurement = {
  figures: [
    { name: 'daemon and worker', unit: 'MB RSS', limit: { atMost: 130 } },
    { name: 'daemon', unit: 'MB RSS', limit: null },
    { name: 'proxy worker', unit: 'MB RSS', limit: null },
    { name: 'largest shim', unit: 'MB private', limit: { atMost: 0.5 } },
    { name: '50 shims', unit: 'MB private', limit: null },
  ],
  boundMs: 90_000,
  async run(peer, place) {
    const running = await peer.start(sleepers(PROGRAMS), place, { proxyPort: await freePort() })
    place.stopAtEnd(running)
    await sleeping(PROGRAMS, place)
    await pause(place, SETTLE_MS)
    const daemon = rssMb(running.daemonPid)
    const workers = pids(running, 'proxy worker').map(rssMb)
    const shims = pids(running, 'shim').map(privateMb)
    return {
      daemon,
      'daemon and worker': daemon + sum(workers),
      ...(workers.length > 0 && { 'proxy worker': sum(workers) }),
      ...(shims.length > 0 && { 'largest shim': Math.max(...shims), '50 shims': sum(shims) }),
    }
  },
}

function pids(running: Running, wanted: 'proxy worker' | 'shim'): number[] {
  return running
    .parts()
    .filter(({ part }) => part === wanted)
    .map(({ pid }) => pid)
}

function freePort(): Promise<number> {
  return new Promise(resolve => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
