// Supervision side by side with the peers that are installed: restart, start-up, idle cost, memory, logs, stops; one table out.
import { writeFileSync } from 'node:fs'
import { cpus, release } from 'node:os'
import { parseArgs } from 'node:util'
import { flood } from './supervise/flood.js'
import { guard } from './supervise/guard-peer.js'
import { idle } from './supervise/idle.js'
import { memory } from './supervise/memory.js'
import type { Measurement, Peer, Result } from './supervise/peer.js'
import { pm2 } from './supervise/pm2-peer.js'
import { restart } from './supervise/restart.js'
import { startup } from './supervise/startup.js'
import { supervisord } from './supervise/supervisord-peer.js'
import { table } from './supervise/table.js'
import { torture } from './supervise/torture.js'
import { withWorkplace } from './supervise/workplace.js'

const PEERS: Peer[] = [guard, supervisord, pm2]
const MEASUREMENTS: Record<string, Measurement> = { restart, startup, idle, memory, flood, torture }

/** Options: --json FILE, --only restart,idle, --peers guard,pm2.  Returns the exit code: 1 when a measurement failed. */
export async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { json: { type: 'string' }, only: { type: 'string' }, peers: { type: 'string' } } })
  const measurements = chosen(values.only, MEASUREMENTS)
  const peers = chosen(values.peers, Object.fromEntries(PEERS.map(peer => [peer.name, peer])))
  const results: Result[] = []
  for (const [name, measurement] of Object.entries(measurements)) {
    for (const peer of Object.values(peers)) results.push(...(await measured(name, measurement, peer)))
  }
  process.stdout.write(`${table(results, Object.keys(peers))}\n`)
  if (values.json) writeFileSync(values.json, `${JSON.stringify({ machine: machine(), results }, null, 2)}\n`)
  return results.some(({ note, failed }) => failed && note !== NOT_INSTALLED) ? 1 : 0
}

const NOT_INSTALLED = 'not installed'

async function measured(name: string, measurement: Measurement, peer: Peer): Promise<Result[]> {
  const failedWith = (note: string): Result[] =>
    measurement.figures.map(figure => ({ measurement: name, figure, peer: peer.name, value: null, note, failed: true }))
  if (!peer.installed()) return failedWith(NOT_INSTALLED)
  process.stderr.write(`${name}: ${peer.name} ...\n`)
  try {
    const values = await withWorkplace(measurement.boundMs, place => measurement.run(peer, place))
    return measurement.figures.map(figure => ({
      measurement: name,
      figure,
      peer: peer.name,
      value: values[figure.name] ?? null,
      note: '',
      failed: false,
    }))
  } catch (error) {
    process.stderr.write(`${name}: ${peer.name}: ${(error as Error).message}\n`)
    return failedWith((error as Error).message.split('\n')[0] ?? '')
  }
}

function chosen<T>(names: string | undefined, from: Record<string, T>): Record<string, T> {
  if (names === undefined) return from
  return Object.fromEntries(
    names.split(',').map(name => {
      const found = from[name]
      if (found === undefined) throw new Error(`no ${name}; there are ${Object.keys(from).join(', ')}`)
      return [name, found]
    }),
  )
}

function machine(): object {
  return { cpus: cpus().length, cpu: cpus()[0]?.model, kernel: release(), node: process.version, date: new Date().toISOString() }
}
