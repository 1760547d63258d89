// kill -9 of each of 200 programs once: the time from the kill to the first instruction of the successor.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { quantile } from './numbers.js'
import type { BenchProgram, Measurement, Peer } from './peer.js'
import { pause, until, type Workplace } from './workplace.js'

const PROGRAMS = 200
/** All are RUNNING by then: startsecs is 1 s, and supervisord looks once per second. */
const SETTLE_MS = 3_000
const POLL_MS = 2
const STAMP = fileURLToPath(new URL('../../../test/fixtures/bin/stamp', import.meta.url))

export const restart: Measurement = {
  figures: [
    { name: 'p50', unit: 'ms', limit: { atMost: 5 } },
    { name: 'p99', unit: 'ms', limit: { atMost: 25 } },
    { name: 'kills', unit: '', limit: null },
  ],
  boundMs: 150_000,
  async run(peer: Peer, place: Workplace) {
    const files = Array.from({ length: PROGRAMS }, (_, n) => join(place.directory, `stamps-${n}`))
    place.stopAtEnd(await peer.start(files.map(program), place))
    await until(place, 100, () => files.every(file => stamps(file).length === 1) || null)
    await pause(place, SETTLE_MS)
    const delaysMs: number[] = []
    for (const file of files.slice(0, peer.rounds)) delaysMs.push(await killOnce(file, place))
    return { p50: quantile(delaysMs, 0.5), p99: quantile(delaysMs, 0.99), kills: delaysMs.length }
  },
}

function program(file: string, n: number): BenchProgram {
  return { name: `stamp-${n}`, argv: [STAMP, file], autostart: true, autorestart: true, logBytes: 0 }
}

/** The successor's stamp carries its own time, on the clock of hrtime: how soon it is seen here does not matter. */
async function killOnce(file: string, place: Workplace): Promise<number> {
  const before = stamps(file)
  const killedNs = process.hrtime.bigint()
  process.kill(before.at(-1)?.pid ?? Number.NaN, 'SIGKILL')
  const next = await until(place, POLL_MS, () => stamps(file)[before.length] ?? null)
  return Number(next.atNs - killedNs) / 1e6
}

/** One per start: when, and as which process. */
function stamps(file: string): { atNs: bigint; pid: number }[] {
  return read(file)
    .split('\n')
    .slice(0, -1)
    .map(line => {
      const [atNs = '', pid = ''] = line.split(' ')
      return { atNs: BigInt(atNs), pid: Number(pid) }
    })
}

/** '' until the program has been started for the first time. */
function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
