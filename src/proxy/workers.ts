// The proxy as the daemon has it: one listening socket, a generation of worker processes on it, replaced without a gap.
//
//   starting ─ ready ─► serving ─ settings, stop ─► draining ─ exit ─► gone
//       └───────── exit ─────┴──► a successor in the same slot, at once, then with a growing pause
import { resolve } from 'node:path'
import { AppError } from '../core/error.js'
import type { RouteTable } from '../core/route-table.js'
import type { ProxySpec } from '../core/spec.js'
import { bindDoors, closeDoors, type Doors } from './doors.js'
import { drainLeftovers } from './leftover.js'
import type { BoundSocket, PortHolder } from './socket.js'
import { WorkerProcess, type WorkerStatus } from './worker-process.js'

// A worker that dies sooner than this after its start is started again with a pause, twice as long each time.
const HEALTHY_MS = 5000
const FIRST_PAUSE_MS = 50
const MAX_PAUSE_MS = 5000
// The new generation must accept within this, or the old one stays.
const READY_MS = 15_000
// How long workers of an earlier daemon may take to let go of the port.
const LEFTOVER_MS = 5000
const LEFTOVER_LOOK_MS = 25

export interface ProxyOptions {
  /** With `listen`: without it there is no proxy to start. */
  spec: ProxySpec
  /** What the first workers serve, from their first connection on. */
  table: RouteTable
  /** Absolute. */
  runDir: string
  /** The daemon's, for /health. */
  version: string
  /** Lines for the daemon's log. */
  emit(message: string): void
  portHolder: PortHolder
}

export interface ProxyStatus {
  /** What is listened on; the real port where 0 was asked for. */
  listen: { host: string; port: number }
  /** The TLS door; null: there is none. */
  tls: { host: string; port: number } | null
  generation: number
  workers: WorkerStatus[]
}

export interface Proxy {
  /** Sends a route table to every worker. */
  table(table: RouteTable): void
  /** Resolves when every worker acts on the table of this version, at the latest after limitMs. */
  settled(version: number, limitMs: number): Promise<void>
  /** A new generation with these settings; the old one drains.  On an error everything stays as it was.  PORT_TAKEN, LISTEN_FAILED. */
  settings(spec: ProxySpec): Promise<void>
  /** Workers open their access log anew. */
  reopenLogs(): void
  /** Drains all workers, at most `drainMs`; resolves when every one is gone and the socket is closed. */
  stop(): Promise<void>
  status(): ProxyStatus
}

/** Opens the port and starts the workers.  Resolves when one of them accepts.  Throws PORT_TAKEN, LISTEN_FAILED, INTERNAL. */
export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const runDir = resolve(options.runDir)
  const leftovers = drainLeftovers(runDir)
  if (leftovers.length > 0) options.emit(`proxy workers of an earlier daemon drain: ${leftovers.join(' ')}`)
  const doors = await bindPatiently(options, leftovers.length > 0 ? LEFTOVER_MS : 0)
  const proxy = new Workers({ ...options, runDir }, doors)
  try {
    await proxy.startGeneration(options.spec)
  } catch (error) {
    await proxy.stop()
    throw error
  }
  return proxy
}

async function bindPatiently(options: ProxyOptions, patienceMs: number): Promise<Doors> {
  const until = performance.now() + patienceMs
  for (;;) {
    try {
      return await bindDoors(options.spec, options.portHolder)
    } catch (error) {
      const taken = error instanceof AppError && error.code === 'PORT_TAKEN'
      if (!taken || performance.now() >= until) throw error
      await new Promise(done => setTimeout(done, LEFTOVER_LOOK_MS))
    }
  }
}

class Workers implements Proxy {
  private readonly options: ProxyOptions
  private doors: Doors
  private spec: ProxySpec
  private newest: RouteTable
  private generation = 0
  private stopping = false
  private readonly workers = new Set<WorkerProcess>()
  private readonly pauses = new Map<number, number>()
  private readonly restarts = new Set<NodeJS.Timeout>()

  constructor(options: ProxyOptions, doors: Doors) {
    this.options = options
    this.spec = options.spec
    this.newest = options.table
    this.doors = doors
  }

  table(table: RouteTable): void {
    this.newest = table
    for (const worker of this.workers) worker.send({ kind: 'table', table })
  }

  async settled(version: number, limitMs: number): Promise<void> {
    await Promise.all([...this.workers].map(worker => worker.knows(version, limitMs)))
  }

  async settings(spec: ProxySpec): Promise<void> {
    const old = { doors: this.doors, spec: this.spec }
    this.doors = await bindDoors(spec, this.options.portHolder, old)
    try {
      await this.startGeneration(spec)
    } catch (error) {
      closeDoors(this.doors, old.doors)
      this.doors = old.doors
      this.spec = old.spec
      throw error
    }
    closeDoors(old.doors, this.doors)
  }

  /** Starts all slots anew; when every one accepts, the workers of earlier generations drain. */
  async startGeneration(spec: ProxySpec): Promise<void> {
    const earlier = [...this.workers]
    this.spec = spec
    this.generation++
    const fresh = Array.from({ length: spec.workers }, (_, slot) => this.startWorker(slot))
    try {
      await Promise.all(fresh.map(worker => worker.whenReady(READY_MS)))
    } catch (error) {
      this.generation--
      for (const worker of fresh) worker.kill()
      throw error
    }
    for (const worker of earlier) worker.drain(spec.drainMs)
  }

  reopenLogs(): void {
    for (const worker of this.workers) worker.send({ kind: 'reopen' })
  }

  async stop(): Promise<void> {
    this.stopping = true
    for (const timer of this.restarts) clearTimeout(timer)
    this.restarts.clear()
    const gone = [...this.workers].map(worker => {
      worker.drain(this.spec.drainMs)
      return worker.gone
    })
    await Promise.all(gone)
    closeDoors(this.doors)
  }

  status(): ProxyStatus {
    const { plain, tls } = this.doors
    return {
      listen: addressOf(plain),
      tls: tls && addressOf(tls),
      generation: this.generation,
      workers: [...this.workers].map(worker => worker.status()),
    }
  }

  private startWorker(slot: number): WorkerProcess {
    const { runDir, version, emit } = this.options
    const { generation } = this
    const worker = new WorkerProcess({
      slot,
      generation,
      runDir,
      setup: { settings: this.spec, version, table: this.newest, doors: this.doors },
      log: emit,
      left: why => this.replace(worker, why),
    })
    this.workers.add(worker)
    void worker.gone.then(() => this.workers.delete(worker))
    return worker
  }

  /** A worker of this generation that nobody asked to go has left: its slot gets another. */
  private replace(worker: WorkerProcess, why: string): void {
    const { slot, generation } = worker
    if (this.stopping || generation !== this.generation || slot >= this.spec.workers) return
    const pauseMs = worker.ageMs >= HEALTHY_MS ? 0 : (this.pauses.get(slot) ?? 0)
    this.pauses.set(slot, Math.min(MAX_PAUSE_MS, Math.max(FIRST_PAUSE_MS, pauseMs * 2)))
    this.options.emit(`proxy worker ${worker.pid} ${why}; the next one starts ${pauseMs === 0 ? 'now' : `in ${pauseMs} ms`}`)
    const timer = setTimeout(() => {
      this.restarts.delete(timer)
      if (!this.stopping && generation === this.generation) this.startWorker(slot)
    }, pauseMs)
    this.restarts.add(timer)
  }
}

function addressOf({ host, port }: BoundSocket): { host: string; port: number } {
  return { host, port }
}
