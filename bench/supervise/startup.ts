// 200 programs up: from the start of the daemon to the start of the 200th process, by the kernel's own record of both (steps of 10 ms).
import { quantile } from './numbers.js'
import type { Measurement, Peer } from './peer.js'
import { facts } from './proc.js'
import { sleepers, sleeping } from './sleepers.js'
import type { Workplace } from './workplace.js'

const PROGRAMS = 200
const ROUNDS = 3

export const startup: Measurement = {
  figures: [{ name: '200 up', unit: 's', limit: { atMost: 1.5 } }],
  boundMs: 150_000,
  async run(peer, place) {
    const seconds: number[] = []
    for (let round = 0; round < ROUNDS; round += 1) seconds.push(await once(peer, place))
    return { '200 up': quantile(seconds, 0.5) }
  },
}

async function once(peer: Peer, place: Workplace): Promise<number> {
  const running = await peer.start(sleepers(PROGRAMS), place)
  place.stopAtEnd(running)
  const daemonStartedMs = facts(running.daemonPid)?.startedMs ?? Number.NaN
  const up = await sleeping(PROGRAMS, place)
  const lastMs = Math.max(...up.map(({ startedMs }) => startedMs))
  await running.stop()
  return (lastMs - daemonStartedMs) / 1000
}
