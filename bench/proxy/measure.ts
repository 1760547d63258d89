// One case: every peer started and warmed up, then rounds in turn; CPU and memory of the proxy's processes around each load.
import { once } from 'node:events'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cpuMs, rssMb } from '../supervise/proc.js'
import type { Case, FigureName } from './cases.js'
import { median, rotated } from './numbers.js'
import type { Options } from './options.js'
import { AUTHORIZATION, type Child, type Peer, type RunningPeer } from './peer.js'
import { end, freePort, PROXY_CPU, spawnBeside } from './processes.js'
import type { Load, Tools } from './tools.js'

export type Figures = Record<FigureName, number | null>

export interface Round extends Figures {
  errors: number
  requests: number
  seconds: number
  /** Parts of the proxy's CPU: used by the proxy, and by anything else. */
  cpuShare: number
  othersShare: number
}

export interface Measured {
  peer: string
  /** null: that round failed; why is in the note. */
  rounds: (Round | null)[]
  note: string
}

interface Place {
  directory: string
  tools: Tools
  options: Options
  log: 'on' | 'off'
  /** Ends everything that is given here, last first, whatever happens. */
  atEnd(stop: () => unknown): void
}

interface Contestant {
  peer: Peer
  measured: Measured
  /** null: starts anew in every round, or could not be started. */
  running: RunningPeer | null
  port: number
  start(): Promise<RunningPeer>
}

const SETTLE_MS = 1_000
const WARM_UP_MS = 10_000
const IDLE_READY_MS = 60_000
const GRPC_SERVER = fileURLToPath(new URL('./grpc-server-process.js', import.meta.url))

/** peers: installed and checked.  The origin alone is measured too, once, and comes first in the result. */
export async function measureCase(which: Case, peers: Peer[], place: Place): Promise<Measured[]> {
  const originPort = await freePort()
  const origin = await startOrigin(which, originPort, place)
  const alone = which.idle > 0 ? [] : [await measureOrigin(which, origin, originPort, place)]
  const contestants: Contestant[] = []
  for (const peer of peers) contestants.push(await contestant(which, peer, originPort, place))
  if (which.idle === 0) for (const each of contestants) await tried(each, () => warmUp(which, each, place))
  for (let round = 0; round < place.options.rounds; round += 1) {
    for (const each of rotated(contestants, round)) {
      process.stderr.write(`log ${place.log}, ${which.name}, round ${round + 1}: ${each.peer.name}\n`)
      const found = await tried(each, () => (which.idle > 0 ? idleRound(which, each, place) : loadRound(which, each, place)))
      each.measured.rounds[round] = found
    }
  }
  for (const { running } of contestants) await running?.stop()
  await end(origin)
  return [...alone, ...contestants.map(({ measured }) => measured)]
}

async function contestant(which: Case, peer: Peer, originPort: number, place: Place): Promise<Contestant> {
  const port = await freePort()
  let starts = 0
  const start = async (): Promise<RunningPeer> => {
    const directory = join(place.directory, `${place.log}-${which.name}-${peer.name}-${starts++}`)
    mkdirSync(directory)
    const accessLog = place.log === 'on' ? join(directory, 'access.log') : null
    const running = await peer.start({ protocol: which.protocol, port, originPort, directory, accessLog })
    place.atEnd(() => running.stop())
    return running
  }
  const made: Contestant = { peer, measured: { peer: peer.name, rounds: [], note: '' }, running: null, port, start }
  if (which.idle === 0) made.running = await tried(made, start)
  return made
}

/** What goes wrong is the peer's note; the others go on. */
async function tried<T>({ measured }: Contestant, work: () => Promise<T>): Promise<T | null> {
  try {
    return await work()
  } catch (error) {
    const line = (error as Error).message.trim().split('\n').at(-1) ?? ''
    if (measured.note === '') measured.note = line
    process.stderr.write(`${measured.peer}: ${line}\n`)
    return null
  }
}

/** For as long as it was told, and then until it had its number of requests, within WARM_UP_MS. */
async function warmUp(which: Case, { running, port }: Contestant, place: Place): Promise<void> {
  if (running === null) return
  const { warmUpSeconds, quick } = place.options
  const until = performance.now() + (quick ? 0 : WARM_UP_MS)
  let requests = 0
  do requests += (await which.load(aim(port, running.prefix, warmUpSeconds, place))).requests
  while (requests < which.warmUpRequests && performance.now() < until)
}

async function loadRound(which: Case, { running, port }: Contestant, place: Place): Promise<Round | null> {
  if (running === null) return null
  const before = reading(running.pids())
  const load = await which.load(aim(port, running.prefix, place.options.seconds, place))
  const after = reading(running.pids())
  return roundOf(which, load, before, after)
}

async function idleRound(which: Case, each: Contestant, place: Place): Promise<Round> {
  const running = await each.start()
  try {
    const before = reading(running.pids())
    const path = `${running.prefix}test.Echo/Unary`
    const mode = which.protocol === 'h2c' ? 'idle-h2' : 'idle-h1'
    const client = spawnBeside(place.tools.load, [mode, String(each.port), path, String(which.idle), '0', '0', AUTHORIZATION])
    place.atEnd(() => end(client))
    const says = reader(client)
    if (!(await says('idle\n', IDLE_READY_MS)).includes('idle')) throw new Error(`${which.idle} connections were not to be had`)
    await new Promise(resolve => setTimeout(resolve, SETTLE_MS))
    const after = reading(running.pids())
    client.stdin?.end()
    const load = JSON.parse((await says('}\n', IDLE_READY_MS)).split('\n')[1] ?? '') as Load
    const round = roundOf(which, load, before, after)
    return { ...round, cpuUs: null, kbPerConnection: ((after.rssMb - before.rssMb) * 1024) / which.idle }
  } finally {
    await running.stop()
  }
}

async function measureOrigin(which: Case, origin: Child, originPort: number, place: Place): Promise<Measured> {
  const before = reading([origin.pid])
  const load = await which.load(aim(originPort, '/', place.options.seconds, place))
  return { peer: 'origin alone', rounds: [roundOf(which, load, before, reading([origin.pid]))], note: '' }
}

async function startOrigin(which: Case, port: number, { tools, atEnd }: Place): Promise<Child> {
  const child =
    which.origin === 'own'
      ? spawnBeside(tools.origin, [String(port), String(which.replyBytes)])
      : spawnBeside(process.execPath, [GRPC_SERVER, String(port)])
  atEnd(() => end(child))
  if (!(await reader(child)('ready\n', IDLE_READY_MS)).includes('ready')) throw new Error('the origin did not start')
  return child
}

/** Returns what waits until the output ends with a text; gives all there is when the child ends or time is over. */
function reader(child: Child): (text: string, limitMs: number) => Promise<string> {
  let all = ''
  child.stdout?.setEncoding('utf8').on('data', (part: string) => {
    all += part
  })
  return async (text, limitMs) => {
    const over = AbortSignal.timeout(limitMs)
    while (!all.endsWith(text) && child.exitCode === null && !over.aborted) {
      await Promise.race([once(child.stdout as NodeJS.ReadableStream, 'data', { signal: over }), once(child, 'exit')]).catch(
        () => undefined,
      )
    }
    return all
  }
}

function aim(port: number, prefix: string, seconds: number, { directory, tools }: Place) {
  return { port, prefix, seconds, directory, tools }
}

interface Reading {
  pids: number[]
  cpuMs: number
  busyMs: number
  rssMb: number
  atMs: number
}

function reading(pids: number[]): Reading {
  const sum = (of: (pid: number) => number): number => pids.reduce((total, pid) => total + of(pid), 0)
  return { pids, cpuMs: sum(cpuMs), rssMb: sum(rssMb), busyMs: proxyCpuBusyMs(), atMs: performance.now() }
}

/** Of the proxy's CPU since the machine started: all but idle and iowait, in steps of 10 ms. */
function proxyCpuBusyMs(): number {
  const line = new RegExp(`^cpu${PROXY_CPU} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'utf8'))?.[1] ?? ''
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(' ').map(Number)
  return (user + nice + system + irq + softirq + steal) * 10
}

/** Throws where the proxy's processes are not the same as before the load. */
function roundOf(which: Case, load: Load, before: Reading, after: Reading): Round {
  if (String(before.pids) !== String(after.pids)) throw new Error('a process of the proxy died')
  const cpu = after.cpuMs - before.cpuMs
  const wallMs = after.atMs - before.atMs
  const good = load.errors === 0
  const figure = (value: number | undefined): number | null => (good && value !== undefined && Number.isFinite(value) ? value : null)
  return {
    cpuUs: figure((cpu * 1000) / load.requests),
    perSecond: figure(load.requests / load.seconds),
    p50Ms: figure(load.p50Ms),
    p99Ms: figure(load.p99Ms),
    rssMb: figure(after.rssMb),
    mbPerCpuSecond: which.messageBytes === 0 ? null : figure((load.requests * which.messageBytes) / 2 ** 20 / (cpu / 1000)),
    kbPerConnection: null,
    errors: load.errors,
    requests: load.requests,
    seconds: load.seconds,
    cpuShare: cpu / wallMs,
    othersShare: Math.max(0, (after.busyMs - before.busyMs - cpu) / wallMs),
  }
}

/** Of the rounds that have it; null where one round had errors or failed. */
export function medianOf({ rounds }: Measured, figure: FigureName): number | null {
  if (rounds.length === 0 || rounds.some(round => round === null || round.errors > 0)) return null
  const values = rounds.flatMap(round => round?.[figure] ?? [])
  return values.length === 0 ? null : median(values)
}
