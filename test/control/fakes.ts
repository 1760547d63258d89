// A guard in memory with scripted programs, behind the real server; and the real guardctl as a process.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type ControlServer, serveControl } from '../../src/control/server.js'
import type { Available, ConfigChanges, UpdateReport } from '../../src/core/changes.js'
import { AppError, type ErrorCode } from '../../src/core/error.js'
import type { GuardEvent } from '../../src/core/events.js'
import type { Outcome, Restarted } from '../../src/core/outcome.js'
import type { Config, LogSpec, SignalName } from '../../src/core/spec.js'
import type { InstanceStatus, Usage } from '../../src/core/status.js'
import type { Guard } from '../../src/guard.js'

export const CLI = fileURLToPath(new URL('../../src/cli.js', import.meta.url))

/** What happens to a program when it is started: it runs, or the start ends in this error. */
export type Script = 'runs' | { fails: ErrorCode; message: string }

export class FakeGuard implements Guard {
  readonly version = '9.8.7'
  readonly startedAtMs = 1
  readonly signals: string[] = []
  readonly listeners = new Set<(event: GuardEvent) => void>()
  readonly instances: InstanceStatus[] = []
  readonly scripts = new Map<string, Script>()
  readonly calls: string[] = []
  changes: ConfigChanges = { added: [], changed: [], removed: [] }
  report: UpdateReport = { groups: [], restarted: [], applied: [] }
  refusal: AppError | null = null
  mainLog: LogSpec = { path: '/nowhere/guard.log', maxBytes: 0, backups: 0 }
  private pids = 100

  program(id: string, more: Partial<InstanceStatus> = {}, script: Script = 'runs'): this {
    const [group, name = group] = id.split(':') as [string, string?]
    this.scripts.set(id, script)
    this.instances.push({ ...BLANK, id, name, group, program: group, logs: { stdout: null, stderr: null }, ...more })
    return this
  }

  running(id: string, more: Partial<InstanceStatus> = {}): this {
    return this.program(id, { state: 'RUNNING', ready: true, wanted: 'up', pid: ++this.pids, startedAtMs: 1, uptimeMs: 5000, ...more })
  }

  emit(event: GuardEvent): void {
    for (const listener of this.listeners) listener(event)
  }

  config(): Config {
    throw new Error('not part of the fake')
  }
  status(): InstanceStatus[] {
    return this.instances
  }
  async start(ids: string[]): Promise<Outcome[]> {
    this.refuse()
    this.calls.push(`start ${ids.join(' ')}`)
    return ids.map(id => ({ id, error: this.startOne(this.find(id)) }))
  }
  async stop(ids: string[]): Promise<Outcome[]> {
    this.calls.push(`stop ${ids.join(' ')}`)
    return ids.map(id => ({ id, error: this.stopOne(this.find(id)) }))
  }
  async restart(ids: string[]): Promise<Restarted> {
    return { stopped: await this.stop(ids), started: await this.start(ids) }
  }
  async signal(id: string, signal: SignalName): Promise<void> {
    if (this.find(id).pid === 0) throw new AppError('NOT_RUNNING', `${id} does not run`)
    this.signals.push(`${id} ${signal}`)
  }
  async reread(): Promise<ConfigChanges> {
    this.refuse()
    return this.changes
  }
  async update(only: string[]): Promise<UpdateReport> {
    this.refuse()
    this.calls.push(`update ${only.join(' ')}`.trim())
    return this.report
  }
  async add(group: string): Promise<void> {
    if (this.instances.some(one => one.group === group)) throw new AppError('ALREADY_ADDED', group)
    if (!this.changes.added.includes(group)) throw new AppError('BAD_NAME', group)
    this.program(group)
  }
  async remove(group: string): Promise<void> {
    const members = this.instances.filter(one => one.group === group)
    if (members.length === 0) throw new AppError('BAD_NAME', group)
    if (members.some(one => one.pid !== 0)) throw new AppError('STILL_RUNNING', group)
    for (const member of members) this.instances.splice(this.instances.indexOf(member), 1)
  }
  async available(): Promise<Available[]> {
    return this.instances.map(({ name, group, wanted }) => ({
      name,
      group,
      inUse: true,
      autostart: wanted === 'up',
      groupPriority: 999,
      priority: 999,
    }))
  }
  async clearLogs(id: string): Promise<void> {
    this.calls.push(`clear ${id}`)
  }
  daemonLog(): LogSpec {
    return this.mainLog
  }
  async usage(): Promise<Usage[]> {
    return this.instances
      .filter(one => one.pid !== 0)
      .map(({ id, pid }) => ({ id, pid, processes: 2, cpuPercent: 12.34, rssBytes: 3_500_000 }))
  }
  subscribe(listener: (event: GuardEvent) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }
  async reload(): Promise<void> {
    this.refuse()
    this.calls.push('reload')
  }
  shutdown(): void {
    this.refuse()
    this.calls.push('shutdown')
  }

  private refuse(): void {
    if (this.refusal) throw this.refusal
  }
  private find(id: string): InstanceStatus {
    const found = this.instances.find(one => one.id === id)
    if (!found) throw new AppError('BAD_NAME', id)
    return found
  }
  private startOne(one: InstanceStatus): AppError | null {
    if (one.pid !== 0) return new AppError('ALREADY_STARTED', `${one.id} runs`)
    const script = this.scripts.get(one.id)!
    if (script !== 'runs') return new AppError(script.fails, script.message)
    Object.assign(one, { state: 'RUNNING', ready: true, pid: ++this.pids, startedAtMs: 1, uptimeMs: 0 })
    return null
  }
  private stopOne(one: InstanceStatus): AppError | null {
    if (one.pid === 0) return new AppError('NOT_RUNNING', `${one.id} does not run`)
    Object.assign(one, { state: 'STOPPED', ready: false, pid: 0, uptimeMs: 0, stoppedAtMs: Date.now() })
    return null
  }
}

const BLANK: InstanceStatus = {
  id: '',
  name: '',
  group: '',
  program: '',
  state: 'STOPPED',
  pid: 0,
  wanted: 'down',
  ready: false,
  startedAtMs: 0,
  stoppedAtMs: 0,
  uptimeMs: 0,
  restarts: 0,
  reason: '',
  lastLines: [],
  exit: null,
  logLost: { bytes: 0, error: '' },
  address: null,
  logs: { stdout: null, stderr: null },
}

/** A directory that is gone after the test. */
export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'guard-control-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export interface Served {
  directory: string
  socketPath: string
  server: ControlServer
  guardctl(...words: string[]): Promise<Ran>
}

/** A guard behind the real server until the test ends. */
export async function served(t: TestContext, guard: Guard): Promise<Served> {
  const directory = temporaryDirectory(t)
  const socketPath = join(directory, 'guard.sock')
  const server = await serveControl(guard, { socketPath })
  t.after(() => server.close())
  return { directory, socketPath, server, guardctl: (...words) => run(['-s', `unix://${socketPath}`, ...words], { cwd: directory }) }
}

export interface Ran {
  stdout: string
  stderr: string
  exit: number | null
}

/** guardctl to its end. */
export async function run(words: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): Promise<Ran> {
  const child = launch(words, options)
  return ended(child)
}

export function launch(words: readonly string[], options: { cwd?: string; env?: NodeJS.ProcessEnv } = {}): ChildProcessWithoutNullStreams {
  const env = { ...process.env, XDG_RUNTIME_DIR: '', GUARD_RUN_DIR: '', ...options.env }
  return spawn(process.execPath, [CLI, ...words], { ...options, env })
}

export async function ended(child: ChildProcessWithoutNullStreams): Promise<Ran> {
  const stdout: Buffer[] = []
  const stderr: Buffer[] = []
  child.stdout.on('data', data => stdout.push(data))
  child.stderr.on('data', data => stderr.push(data))
  child.stdin.end()
  const exit = await new Promise<number | null>(resolve => child.once('close', resolve))
  return { stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString(), exit }
}

/** Looks until it is so; fails after the bound. */
export async function until(isSo: () => boolean, what: string, boundMs = 30_000): Promise<void> {
  const end = performance.now() + boundMs
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`not within ${boundMs} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

/** A log file with this text; returns its path. */
export function logFile(directory: string, name: string, text: string | Buffer): string {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

/** Rows that do not disturb each other, as many at a time as there are processors. */
export async function inParallel<T>(rows: readonly T[], check: (row: T) => Promise<void>): Promise<void> {
  const waiting = [...rows]
  const worker = async (): Promise<void> => {
    for (let row = waiting.shift(); row !== undefined; row = waiting.shift()) await check(row)
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
}
