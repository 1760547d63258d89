// The clock and the kernel, faked: time moves when a test says so, programs start and die when a test says so.
import type { GuardEvent } from '../../src/core/events.js'
import type { ProbeResult, ServingStatus } from '../../src/core/readiness.js'
import type { InstanceSpec, SignalName } from '../../src/core/spec.js'
import type { ExitRecord } from '../../src/core/status.js'
import { Supervisor } from '../../src/supervisor/supervisor.js'
import type { Clock, ShimHandlers, ShimHost, ShimLink, World } from '../../src/supervisor/world.js'
import { defaultPolicy } from '../core/fixture-policy.js'

export function fakeClock(): Clock & { advance(ms: number): Promise<void> } {
  let now = 1_000_000
  const timers = new Set<{ ms: number; call: () => void }>()
  return {
    nowMs: () => now,
    wallMs: () => 1_700_000_000_000 + now,
    at(ms, call) {
      const timer = { ms, call }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    /** Runs what falls due on the way, in order, and lets promises settle after each. */
    async advance(ms) {
      await settle()
      const end = now + ms
      for (;;) {
        const due = [...timers].filter(timer => timer.ms <= end).sort((a, b) => a.ms - b.ms)[0]
        if (due === undefined) break
        timers.delete(due)
        now = Math.max(now, due.ms)
        due.call()
        await settle()
      }
      now = end
      await settle()
    },
  }
}

/** Lets everything that is already decided happen. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(resolve => setImmediate(resolve))
}

interface FakeProgram {
  pid: number
  handlers: ShimHandlers
  /** Signals sent to it, as `TERM process`. */
  signals: string[]
}

/** Shims that run programs in memory.  By default a program dies of TERM and KILL. */
export class FakeKernel implements ShimHost {
  readonly spawned: string[] = []
  readonly ended: string[] = []
  readonly live = new Map<string, FakeProgram>()
  readonly found = new Map<string, Partial<ShimLink['found']>>()
  readonly refuses = new Map<string, Error>()
  readonly ignoresTerm = new Set<string>()
  readonly closed: string[] = []
  /** Links whose events may come, by the order of their begin. */
  readonly begun: string[] = []
  /** A run is answered when this resolves. */
  readonly delays = new Map<string, Promise<void>>()
  /** Shims that do not answer the request to go. */
  readonly silent = new Set<string>()
  /** What each program was last started with. */
  readonly ranAs = new Map<string, InstanceSpec>()
  /** Opening takes until this resolves. */
  opening: Promise<void> = Promise.resolve()
  opens = 0
  readonly logs = new Map<string, InstanceSpec['logs']>()
  took = 0
  #nextPid = 100

  async open(specs: InstanceSpec[], handlers: (id: string) => ShimHandlers): Promise<Map<string, ShimLink | Error>> {
    this.opens++
    await this.opening
    return new Map(specs.map(spec => [spec.id, this.#link(spec.id, handlers(spec.id))]))
  }

  async retire(): Promise<string[]> {
    return []
  }

  #link(id: string, handlers: ShimHandlers): ShimLink {
    const none = { pid: 0, startedMs: 0, startedAtMs: 0, exit: null, lost: { stdout: 0, stderr: 0 }, outdated: false }
    const found = { ...none, ...this.found.get(id) }
    if (found.pid !== 0) this.live.set(id, { pid: found.pid, handlers, signals: [] })
    return {
      found,
      begin: () => this.begun.push(id),
      run: async toRun => {
        await this.delays.get(id)
        const refused = this.refuses.get(id)
        if (refused !== undefined) throw refused
        if (this.live.has(id)) throw new Error('a second live copy')
        const pid = this.#nextPid++
        this.live.set(id, { pid, handlers, signals: [] })
        this.spawned.push(id)
        this.ranAs.set(id, toRun)
        return { pid }
      },
      signal: async (signal: SignalName, scope) => {
        const program = this.live.get(id)
        if (program === undefined) throw new Error('ESRCH')
        program.signals.push(`${signal} ${scope}`)
        if (signal === 'KILL' || (signal === 'TERM' && !this.ignoresTerm.has(id))) this.exit(id, { code: null, signal })
      },
      setLogs: async logs => {
        this.logs.set(id, logs)
      },
      clearLogs: async () => {},
      took: () => {
        this.took++
      },
      bye: async () => {
        this.closed.push(id)
        if (this.silent.has(id)) throw new Error('no reply to bye')
      },
    }
  }

  exit(id: string, end: { code: number | null; signal: string | null }): void {
    const program = this.live.get(id)
    if (program === undefined) throw new Error(`${id} is not alive`)
    this.live.delete(id)
    this.ended.push(id)
    program.handlers.exited(exitRecord(program.pid, end))
  }

  loseShim(id: string): void {
    const program = this.live.get(id)
    this.live.delete(id)
    program?.handlers.closed()
  }

  /** Another daemon connects to the shim; the program runs on. */
  takeShim(id: string): void {
    this.live.get(id)?.handlers.taken()
  }
}

export function exitRecord(pid: number, end: { code: number | null; signal: string | null }): ExitRecord {
  return { pid, ...end, coreDumped: false, userMs: 1, systemMs: 1, maxRssKb: 1, endedAtMs: 1 }
}

export interface FakeWorld extends World {
  clock: ReturnType<typeof fakeClock>
  shims: FakeKernel
  events: GuardEvent[]
  /** What the next probes of an instance say; 'pass' by default. */
  probes: Map<string, ProbeResult>
  /** Watches that are open, by instance. */
  watches: Map<string, FakeWatch>
  /** Watches opened so far. */
  watched: string[]
}

export interface FakeWatch {
  tell(status: ServingStatus): void
  end(how: 'lost' | 'unsupported'): void
}

export function fakeWorld(): FakeWorld {
  const events: GuardEvent[] = []
  const probes = new Map<string, ProbeResult>()
  const watches = new Map<string, FakeWatch>()
  const watched: string[] = []
  return {
    clock: fakeClock(),
    random: () => 0.5,
    shims: new FakeKernel(),
    probe: async (_probe, spec) => probes.get(spec.id) ?? 'pass',
    watch: (_probe, { id }, tell, givenUp) =>
      new Promise(resolve => {
        const end: FakeWatch['end'] = how => {
          if (watches.get(id)?.end === end) watches.delete(id)
          resolve(how)
        }
        watched.push(id)
        watches.set(id, { tell, end })
        givenUp.addEventListener('abort', () => end('lost'), { once: true })
      }),
    lastLines: async () => ['last words'],
    emit: event => events.push(event),
    released: async () => {},
    events,
    probes,
    watches,
    watched,
  }
}

export function spec(id: string, change: Partial<InstanceSpec> = {}): InstanceSpec {
  return {
    id,
    name: id,
    group: id,
    program: id,
    num: 0,
    priority: 999,
    autostart: true,
    dependsOn: [],
    address: null,
    policy: defaultPolicy,
    run: { argv: ['x'], environment: {}, directory: '/', user: null, umask: null, nice: null, oomScoreAdj: null, limits: {} },
    logs: { stdout: { path: `/log/${id}`, maxBytes: 0, backups: 0 }, stderr: null },
    probe: null,
    ...change,
  }
}

/** A supervisor that knows these instances and has opened them.  prepare: the machine as it is found. */
export async function supervise(specs: InstanceSpec[], prepare: (world: FakeWorld) => void = () => {}) {
  const world = fakeWorld()
  prepare(world)
  const supervisor = new Supervisor(world, () => {})
  supervisor.know(specs, [])
  const outdated = await supervisor.open(specs.map(each => each.id))
  const state = (id: string): string => supervisor.get(id).state
  return { world, supervisor, state, outdated, kernel: world.shims, clock: world.clock }
}
