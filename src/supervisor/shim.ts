// The daemon's end of a guard-shim: starts shims, connects to them, asks and listens.
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { AppError } from '../core/error.js'
import type { InstanceSpec, RunSpec, SignalName } from '../core/spec.js'
import { Connection, type ShimHandlers } from './shim-connection.js'
import type { Field, ShimExit, ShimHello, ShimReply, Stream } from './shim-frames.js'
import { logFields, parseExit, parseJson, runFields } from './shim-frames.js'

export type Scope = 'process' | 'group' | 'tree'

/** One connection.  Every method throws SHIM_FAILED when the connection is lost, or no reply came in time. */
export interface Shim {
  readonly hello: ShimHello
  /** Resolves when exec has succeeded.  SPAWN_ERROR: `stage what: reason`; ALREADY_STARTED: something runs. */
  run(run: RunSpec, logs: InstanceSpec['logs']): Promise<{ pid: number }>
  /** NOT_RUNNING: nothing to signal.  KILL with scope tree (or group) brings the whole tree down, whatever it does meanwhile. */
  signal(name: SignalName, scope: Scope): Promise<void>
  /** New log files or limits, without a restart. */
  logs(logs: InstanceSpec['logs']): Promise<void>
  /** At the next line end; `rotated` says when it is done. */
  rotate(stream?: Stream): Promise<void>
  reopen(stream?: Stream): Promise<void>
  clear(stream?: Stream): Promise<void>
  state(): Promise<ShimHello>
  /** The exit record is safe with the daemon: the shim forgets it. */
  took(): Promise<void>
  /** Kills what runs, the whole tree; resolves when all is gone and the shim has removed its files. */
  bye(): Promise<void>
  /** Leaves the shim and its program alone. */
  close(): void
}

const REPLY_MAX_MS = 10_000
/** run and bye wait for the kernel (a dead network mount, a process in uninterruptible sleep). */
const SLOW_REPLY_MAX_MS = 60_000
const LAUNCH_MAX_MS = 15_000
const ESRCH = 3
const EBUSY = 16

/** Makes one shim per run directory; a directory whose shim lives keeps it.
 *  dirs: exist, 0700.  Resolves when every shim listens.  SHIM_FAILED with one line per directory that has none; the others have. */
export async function launchShims(dirs: string[]): Promise<void> {
  if (dirs.length === 0) return
  const binary = process.env.GUARD_SHIM ?? fileURLToPath(new URL('../../../native/guard-shim', import.meta.url))
  const result = await execa(
    binary,
    dirs.map(dir => resolve(dir)),
    {
      env: shimEnvironment(),
      extendEnv: false,
      stdin: 'ignore',
      stdout: 'ignore',
      maxBuffer: 64 * 1024,
      cleanup: false,
      reject: false,
      timeout: LAUNCH_MAX_MS,
    },
  )
  if (result.exitCode === 0) return
  if (result.code === 'ENOENT') throw new AppError('SHIM_FAILED', `${binary} is missing: run \`npm run build\``)
  const lines = typeof result.stderr === 'string' ? result.stderr.trim() : ''
  throw new AppError('SHIM_FAILED', lines !== '' ? lines : `${binary}: ${result.originalMessage ?? `exit code ${result.exitCode}`}`)
}

/** The shim's own environment stays nearly empty: the daemon's may hold secrets, and a program gets its own by `run`. */
function shimEnvironment(): Record<string, string> {
  const names = ['GUARD_SHIM_IDLE_S', 'ASAN_OPTIONS', 'LSAN_OPTIONS', 'UBSAN_OPTIONS']
  return Object.fromEntries(names.flatMap(name => (process.env[name] === undefined ? [] : [[name, process.env[name]]])))
}

/** Connects to the shim of a run directory (any length) and waits for its hello.  SHIM_FAILED: none listens, or it makes no sense. */
export async function connectShim(dir: string, handlers: ShimHandlers): Promise<Shim> {
  const connection = new Connection(dir, handlers)
  const hello = await connection.open()
  connection.begin()
  const ask = (verb: string, fields: Field[] = [], maxMs = REPLY_MAX_MS) => connection.ask(verb, fields, maxMs)
  const streamField = (stream?: Stream): Field[] => (stream === undefined ? [] : [['stream', stream]])
  return {
    hello,
    run: async (run, logs) => {
      const reply = await connection.ask('run', [...runFields(run), ...logFields(logs)], SLOW_REPLY_MAX_MS)
      if (reply.failure !== null) throw spawnError(run, reply.failure)
      return { pid: reply.pid }
    },
    signal: async (name, scope) => {
      const { failure } = await ask('signal', [
        ['signal', name],
        ['scope', scope],
      ])
      if (failure?.errno === ESRCH) throw new AppError('NOT_RUNNING', `${dir}: nothing runs`)
      refuseFailure(dir, failure)
    },
    logs: async logs => refuseFailure(dir, (await ask('logs', logFields(logs))).failure),
    rotate: async stream => refuseFailure(dir, (await ask('rotate', streamField(stream))).failure),
    reopen: async stream => refuseFailure(dir, (await ask('reopen', streamField(stream))).failure),
    clear: async stream => refuseFailure(dir, (await ask('clear', streamField(stream))).failure),
    state: async () => {
      const { hello: now, failure } = await ask('state')
      refuseFailure(dir, failure)
      if (now === null) throw new AppError('SHIM_FAILED', `${dir}: a state reply without a state`)
      return now
    },
    took: async () => refuseFailure(dir, (await ask('took')).failure),
    bye: async () => {
      connection.expectEnd()
      refuseFailure(dir, (await ask('bye', [], SLOW_REPLY_MAX_MS)).failure)
      connection.close()
    },
    close: () => connection.close(),
  }
}

/** What a shim that is gone has left behind; null where there is none or it is damaged (it is a hint, never a foundation). */
export async function readExitRecord(dir: string): Promise<ShimExit | null> {
  try {
    return parseExit(parseJson(await readFile(join(dir, 'exit.json'), 'utf8')))
  } catch {
    return null
  }
}

function refuseFailure(dir: string, failure: ShimReply['failure']): void {
  if (failure !== null) throw new AppError('SHIM_FAILED', `${dir}: ${failure.stage}: ${failure.error}`)
}

function spawnError(run: RunSpec, failure: NonNullable<ShimReply['failure']>): AppError {
  if (failure.stage === 'run' && failure.errno === EBUSY) return new AppError('ALREADY_STARTED', 'the program runs already')
  const subject: Record<string, string | number | null | undefined> = {
    chdir: run.directory,
    exec: run.argv[0],
    user: run.user,
    groups: run.user,
    setgid: run.user,
    setuid: run.user,
    nice: run.nice,
    oom: run.oomScoreAdj,
    limits: Object.entries(run.limits)
      .map(([name, value]) => `${name}=${value}`)
      .join(' '),
  }
  const what = subject[failure.stage]
  return new AppError('SPAWN_ERROR', `${failure.stage}${what === undefined || what === null ? '' : ` ${what}`}: ${failure.error}`)
}
