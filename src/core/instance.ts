// THE state machine: one supervised copy of a program.  Nothing but `step` ever sets a state.
import { backoffMs } from './backoff.js'
import type { Policy, SignalName } from './spec.js'

/*
 *                    start                    alive for startsecs
 *   ┌─────────┐ ───────────────▶ ┌──────────┐ ──────────────────▶ ┌─────────┐  exit, not to be restarted  ┌────────┐
 *   │ STOPPED │                  │ STARTING │                     │ RUNNING │ ──────────────────────────▶ │ EXITED │
 *   └─────────┘ ◀─┐              └──────────┘ ◀─────────────────  └─────────┘                             └────────┘
 *        ▲        │                │      ▲    first crash: at once    │  │
 *        │ gone   │ stop      died │      │ delay over                │  │ crashed again
 *   ┌──────────┐  │                ▼      │                           │  │
 *   │ STOPPING │  └──────────── ┌─────────┐ ◀───────────────────────────┘
 *   └──────────┘                │ BACKOFF │                          │
 *        ▲                      └─────────┘ ── too many deaths ──▶ ┌───────┐ ── fatal_retry over ──▶ STARTING
 *        └── stop, from STARTING and RUNNING                        │ FATAL │
 *                                                                   └───────┘
 * Who causes what: `start`, `stop` a person, autostart or the daemon's own stop; `started`, `failed`, `exited` the shim; `deadline` the clock;
 * `adopted` a daemon that finds a program its predecessor had started.  A start request leaves every resting state (STOPPED, EXITED, FATAL, BACKOFF).
 *
 * What is true in each state
 *   STOPPED, EXITED   no process (pid 0), no deadline
 *   STARTING          asked to run; pid 0 and no deadline until the shim says `started`, then both
 *   RUNNING           pid, no deadline
 *   BACKOFF           no process, deadline = next start
 *   FATAL             no process, deadline = next try, or none where fatal_retry is 0
 *   STOPPING          stop signal sent, deadline = when SIGKILL is sent (again); pid 0 only while a start is still being answered
 * `exited` means the whole process tree is gone: the shim says it only then.
 */

export const STATES = ['STOPPED', 'STARTING', 'RUNNING', 'BACKOFF', 'STOPPING', 'EXITED', 'FATAL'] as const
export type State = (typeof STATES)[number]

export interface Instance {
  readonly state: State
  /** Whether it shall be up once the present move is over. */
  readonly wanted: 'up' | 'down'
  readonly pid: number
  /** Monotonic ms; the one moment at which `deadline` is due. */
  readonly deadlineMs: number | null
  /** Monotonic ms of the last `started`. */
  readonly startedMs: number
  /** Deaths in STARTING in a row. */
  readonly startFailures: number
  /** Deaths of any kind in the crash window. */
  readonly crashes: number
  /** Starts nobody asked for. */
  readonly restarts: number
  readonly reason: string
}

export type Input =
  | { kind: 'start' }
  | { kind: 'stop' }
  | { kind: 'started'; pid: number }
  | { kind: 'failed'; reason: string }
  | { kind: 'exited'; code: number | null; signal: string | null }
  | { kind: 'deadline' }
  | { kind: 'adopted'; pid: number; startedMs: number }

export type Effect = { kind: 'run' } | { kind: 'signal'; signal: SignalName; scope: 'process' | 'group' }

type Step = [Instance, Effect[]]
interface Now {
  policy: Policy
  ms: number
  random: number
}

/** SIGKILL is repeated this often until the tree is gone: a process in an uninterruptible wait dies when it leaves it. */
export const KILL_REPEAT_MS = 1_000
/** A program that ends as expected and is restarted always (autorestart: true) does so at most this often. */
export const RESTART_FLOOR_MS = 1_000

export function newInstance(): Instance {
  return {
    state: 'STOPPED',
    wanted: 'down',
    pid: 0,
    deadlineMs: null,
    startedMs: 0,
    startFailures: 0,
    crashes: 0,
    restarts: 0,
    reason: '',
  }
}

/** One move.  nowMs: monotonic.  random: [0, 1), for the jitter of a backoff.
 *  Returns the new instance and what the edge has to do, in order.  Throws nothing: every state answers every input. */
export function step(instance: Instance, input: Input, policy: Policy, nowMs: number, random: number): Step {
  const now: Now = { policy, ms: nowMs, random }
  if (input.kind === 'deadline' && (instance.deadlineMs === null || nowMs < instance.deadlineMs)) return [instance, []]
  switch (instance.state) {
    case 'STOPPED':
    case 'EXITED':
      return resting(instance, input, now)
    case 'STARTING':
      return starting(instance, input, now)
    case 'RUNNING':
      return running(instance, input, now)
    case 'BACKOFF':
    case 'FATAL':
      return waiting(instance, input, now)
    case 'STOPPING':
      return stopping(instance, input, now)
    default:
      return instance.state satisfies never
  }
}

/** STOPPED and EXITED: nothing runs and nothing is due. */
function resting(at: Instance, input: Input, now: Now): Step {
  switch (input.kind) {
    case 'start':
      return run(forgiven(at))
    case 'stop':
      return [rest(at, 'STOPPED', ''), []]
    case 'started':
      return endStray(at, input.pid, now)
    case 'adopted':
      return adopt(at, input, now)
    case 'failed':
    case 'exited':
    case 'deadline':
      return [at, []]
    default:
      return input satisfies never
  }
}

function starting(at: Instance, input: Input, now: Now): Step {
  switch (input.kind) {
    case 'start':
      return [at, []]
    case 'stop':
      return stop(at, now)
    case 'started':
      return [alive(at, input.pid, now.ms, now), []]
    case 'failed':
      return diedStarting(at, input.reason, now)
    case 'exited':
      return diedStarting(at, `Exited too quickly (${endText(input)})`, now)
    case 'deadline':
      return [{ ...at, state: 'RUNNING', deadlineMs: null, startFailures: 0, reason: '' }, []]
    case 'adopted':
      return adopt(at, input, now)
    default:
      return input satisfies never
  }
}

function running(at: Instance, input: Input, now: Now): Step {
  switch (input.kind) {
    case 'stop':
      return stop(at, now)
    case 'exited':
      return diedRunning(at, input, now)
    case 'start':
    case 'started':
    case 'failed':
    case 'deadline':
    case 'adopted':
      return [at, []]
    default:
      return input satisfies never
  }
}

/** BACKOFF and FATAL: nothing runs, the next try is due at the deadline (FATAL: may be never). */
function waiting(at: Instance, input: Input, now: Now): Step {
  switch (input.kind) {
    case 'start':
      return run(forgiven(at))
    case 'stop':
      return [rest(at, 'STOPPED', ''), []]
    case 'deadline':
      return at.state === 'FATAL' ? run(oneChance(at, now.policy)) : run({ ...at, restarts: at.restarts + 1 })
    case 'started':
      return endStray(at, input.pid, now)
    case 'adopted':
      return adopt(at, input, now)
    case 'failed':
    case 'exited':
      return [at, []]
    default:
      return input satisfies never
  }
}

function stopping(at: Instance, input: Input, now: Now): Step {
  switch (input.kind) {
    case 'start':
      return [{ ...at, wanted: 'up' }, []]
    case 'stop':
      return [{ ...at, wanted: 'down' }, []]
    case 'started':
    case 'adopted':
      return [{ ...at, pid: input.pid, startedMs: input.kind === 'adopted' ? input.startedMs : now.ms }, []]
    case 'failed':
    case 'exited':
      return at.wanted === 'up' ? run(forgiven(at)) : [rest(at, 'STOPPED', ''), []]
    case 'deadline':
      return kill(at, now)
    default:
      return input satisfies never
  }
}

// ---- moves

function run(at: Instance): Step {
  return [{ ...at, state: 'STARTING', wanted: 'up', pid: 0, deadlineMs: null, reason: '' }, [{ kind: 'run' }]]
}

/** A start that a person or the boot asked for opens a new crash window. */
function forgiven(at: Instance): Instance {
  return { ...at, startFailures: 0, crashes: 0 }
}

/** FATAL is left for one try: the next death inside the crash window leads straight back. */
function oneChance(at: Instance, policy: Policy): Instance {
  return { ...at, startFailures: policy.startRetries, crashes: policy.crashRetries, restarts: at.restarts + 1 }
}

function alive(at: Instance, pid: number, startedMs: number, now: Now): Instance {
  const runsAtMs = startedMs + now.policy.startMs
  const base: Instance = { ...at, wanted: 'up', pid, startedMs, reason: '' }
  if (runsAtMs <= now.ms) return { ...base, state: 'RUNNING', deadlineMs: null, startFailures: 0 }
  return { ...base, state: 'STARTING', deadlineMs: runsAtMs }
}

function adopt(at: Instance, input: { pid: number; startedMs: number }, now: Now): Step {
  return [alive(at, input.pid, input.startedMs, now), []]
}

/** CONT after the stop signal: a stopped process cannot die of TERM before it runs again. */
function stop(at: Instance, now: Now): Step {
  const scope = now.policy.stopAsGroup ? 'group' : 'process'
  const signals: Effect[] = [{ kind: 'signal', signal: now.policy.stopSignal, scope }]
  if (now.policy.stopSignal !== 'KILL') signals.push({ kind: 'signal', signal: 'CONT', scope })
  return [{ ...at, state: 'STOPPING', wanted: 'down', deadlineMs: now.ms + now.policy.stopWaitMs, reason: '' }, signals]
}

function kill(at: Instance, now: Now): Step {
  const scope = now.policy.killAsGroup ? 'group' : 'process'
  return [{ ...at, deadlineMs: now.ms + KILL_REPEAT_MS }, [{ kind: 'signal', signal: 'KILL', scope }]]
}

/** A process nobody asked for any more must not be forgotten: it is ended, then `wanted` decides. */
function endStray(at: Instance, pid: number, now: Now): Step {
  return kill({ ...at, state: 'STOPPING', pid, startedMs: now.ms }, now)
}

function rest(at: Instance, state: 'STOPPED' | 'EXITED', reason: string): Instance {
  return { ...at, state, wanted: 'down', pid: 0, deadlineMs: null, reason }
}

// ---- deaths

function diedStarting(at: Instance, reason: string, now: Now): Step {
  const counted = { ...at, pid: 0, startFailures: at.startFailures + 1, crashes: at.crashes + 1, reason }
  return afterCrash(counted, counted.crashes, now)
}

function diedRunning(at: Instance, input: { code: number | null; signal: string | null }, now: Now): Step {
  const livedMs = now.ms - at.startedMs
  const window = livedMs >= now.policy.backoffResetMs ? forgiven(at) : at
  const expected = input.code !== null && now.policy.exitcodes.includes(input.code)
  const reason = endText(input)
  if (now.policy.autorestart === 'never' || (expected && now.policy.autorestart === 'unexpected')) {
    return [rest(window, 'EXITED', reason), []]
  }
  if (expected) return again({ ...window, pid: 0, reason }, Math.max(0, RESTART_FLOOR_MS - livedMs), now)
  const crashed = { ...window, pid: 0, crashes: window.crashes + 1, reason: `Crashed (${reason})` }
  // The first crash after a healthy time costs nobody a wait: the successor starts at once.
  return afterCrash(crashed, crashed.crashes - 1, now)
}

function afterCrash(at: Instance, failures: number, now: Now): Step {
  if (at.startFailures > now.policy.startRetries || at.crashes > now.policy.crashRetries) return [fatal(at, now), []]
  return again(at, failures === 0 ? 0 : backoffMs(failures, now.policy, now.random), now)
}

function again(at: Instance, delayMs: number, now: Now): Step {
  if (delayMs === 0) return run({ ...at, restarts: at.restarts + 1 })
  return [{ ...at, state: 'BACKOFF', deadlineMs: now.ms + delayMs }, []]
}

function fatal(at: Instance, now: Now): Instance {
  const { fatalRetryMs } = now.policy
  return { ...at, state: 'FATAL', deadlineMs: fatalRetryMs === 0 ? null : now.ms + fatalRetryMs }
}

function endText(end: { code: number | null; signal: string | null }): string {
  if (end.signal !== null) return `signal ${end.signal}`
  return end.code === null ? 'its shim was lost' : `exit status ${end.code}`
}
