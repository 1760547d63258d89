// What the supervisor needs of the machine it runs on: the clock, the shims, the probes.  Faked in its unit tests.
import type { GuardEvent } from '../core/events.js'
import type { ProbeResult, ServingStatus } from '../core/readiness.js'
import type { InstanceSpec, ProbeSpec, SignalName } from '../core/spec.js'
import type { ExitRecord } from '../core/status.js'

export interface World {
  clock: Clock
  /** [0, 1) */
  random(): number
  shims: ShimHost
  /** Resolves within probe.timeoutMs, and soon once nobody waits for it any more (`givenUp`); never rejects. */
  probe(probe: ProbeSpec, spec: InstanceSpec, givenUp: AbortSignal): Promise<ProbeResult>
  /** Calls `told` with the status an instance gives itself, now and at each change, until `givenUp`.  Resolves when that is over: 'lost', or
   *  'unsupported' where the service does not tell; never rejects. */
  watch(probe: ProbeSpec, spec: InstanceSpec, told: (status: ServingStatus) => void, givenUp: AbortSignal): Promise<'lost' | 'unsupported'>
  /** The last lines of a log file, newest last; [] where it cannot be read. */
  lastLines(path: string, count: number): Promise<string[]>
  emit(event: GuardEvent): void
  /** Resolves, soon in any case, when no new request goes to an instance that has just become unready. */
  released(): Promise<void>
}

export interface Clock {
  /** CLOCK_MONOTONIC in ms, the shim's clock too. */
  nowMs(): number
  /** Unix time in ms, for people. */
  wallMs(): number
  /** Calls back once at or after a monotonic moment; returns what cancels it. */
  at(ms: number, call: () => void): () => void
}

export interface ShimHost {
  /** One live link per instance: shims that stand already are taken over, the others are started, all by one call.
   *  An instance whose shim cannot be had gets the error instead. */
  open(specs: InstanceSpec[], handlers: (id: string) => ShimHandlers): Promise<Map<string, ShimLink | Error>>
  /** Stops what runs in the run directory for no instance of `keep`, and ends those shims.  Returns a line for the log on each that ran something,
   *  or that could not be ended. */
  retire(keep: Set<string>): Promise<string[]>
}

export interface ShimHandlers {
  exited(exit: ExitRecord): void
  /** bytes: lost in this stream since the shim began. */
  logLost(stream: 'stdout' | 'stderr', bytes: number, error: string): void
  rotated(stream: 'stdout' | 'stderr'): void
  /** The shim is gone without having been asked to, and what it ran with it. */
  closed(): void
  /** Another daemon has taken the shim over: what it runs is none of ours any more. */
  taken(): void
}

export interface ShimLink {
  /** Lets events come, those that have waited first; to be called once, when `found` has been looked at. */
  begin(): void
  /** What was found at the moment of connecting. */
  readonly found: {
    pid: number
    startedMs: number
    startedAtMs: number
    /** The program ended while no daemon was there. */
    exit: ExitRecord | null
    /** Bytes that never reached the log files. */
    lost: { stdout: number; stderr: number }
    /** Runs something else than the spec says (the configuration changed while no daemon was there). */
    outdated: boolean
  }
  /** Starts the program.  Throws AppError SPAWN_ERROR. */
  run(spec: InstanceSpec): Promise<{ pid: number }>
  signal(signal: SignalName, scope: 'process' | 'group'): Promise<void>
  setLogs(logs: InstanceSpec['logs']): Promise<void>
  clearLogs(): Promise<void>
  /** The exit record has been taken. */
  took(): void
  /** Ends the shim and what it runs; resolves when it is gone. */
  bye(): Promise<void>
}
