// The daemon: the one file that knows supervisor and proxy, and makes one system of them.
import { type Available, available, type ConfigChanges, type UpdateReport, updateReport } from './core/changes.js'
import { type Plan, planUpdate } from './core/config/plan.js'
import { AppError } from './core/error.js'
import { eventText } from './core/event-text.js'
import type { GuardEvent } from './core/events.js'
import type { Outcome, Restarted } from './core/outcome.js'
import { routedPrograms } from './core/route-table.js'
import type { Config, InstanceSpec, LogSpec, SignalName } from './core/spec.js'
import type { InstanceStatus, Usage } from './core/status.js'
import type { Guard } from './guard.js'
import type { DaemonLog } from './host/daemon-log.js'
import { Door } from './proxy/door.js'
import type { PortHolder } from './proxy/socket.js'
import { lastLines } from './supervisor/last-lines.js'
import { probeOnce, watchOnce } from './supervisor/probe.js'
import { shimHost } from './supervisor/shim-host.js'
import { Supervisor } from './supervisor/supervisor.js'
import { endUsage, sampleUsage } from './supervisor/usage.js'
import type { Clock, ShimHost } from './supervisor/world.js'

export interface DaemonOptions {
  version: string
  log: DaemonLog
  clock: Clock
  portHolder: PortHolder
  /** Reads the configuration files anew.  Throws AppError CONFIG_INVALID with every problem. */
  load(): Promise<Config>
}

/** A stop waits at most this long for the workers to know of it. */
const RELEASE_MS = 250

export class Daemon implements Guard {
  readonly version: string
  readonly startedAtMs: number
  readonly #options: DaemonOptions
  readonly #supervisor: Supervisor
  readonly #shims: ShimHost
  readonly #door: Door
  readonly #listeners = new Set<(event: GuardEvent) => void>()
  #active: Config
  /** The files as `reread` last saw them: what `add` takes from. */
  #files: Config
  /** Changes of the configuration happen one after the other. */
  #turn: Promise<unknown> = Promise.resolve()
  #stopping = false
  /** Requests that touch processes wait until what a predecessor left has been adopted. */
  readonly #opened: Promise<void>
  #resolveOpened: () => void = () => {}
  /** Resolves when a shutdown has ended everything. */
  readonly ended: Promise<void>
  #resolveEnded: () => void = () => {}

  constructor(config: Config, options: DaemonOptions) {
    const { version, clock, portHolder } = options
    this.#options = options
    this.version = version
    this.startedAtMs = clock.wallMs()
    this.#active = config
    this.#files = config
    this.#shims = shimHost(config.guard.runDir)
    const emit = (event: GuardEvent): void => this.#emit(event)
    const machine = { clock, random: Math.random, shims: this.#shims, probe: probeOnce, watch: watchOnce, lastLines }
    this.#supervisor = new Supervisor({ ...machine, emit, released: () => this.#door.settled(RELEASE_MS) }, () => this.#sendTable())
    this.#supervisor.know(config.instances, config.groups)
    this.#door = new Door({ runDir: config.guard.runDir, version, portHolder, emit: message => this.#tell('proxy', message) })
    this.#opened = new Promise(resolve => {
      this.#resolveOpened = resolve
    })
    this.ended = new Promise(resolve => {
      this.#resolveEnded = resolve
    })
  }

  /** Opens the port, adopts what a predecessor left running, starts what is to be started.  Throws AppError PORT_TAKEN before anything runs. */
  begin(): Promise<void> {
    return this.#inTurn(async () => {
      // The first workers know the routes, and hold the requests that come before it is known what runs.
      this.#sendTable()
      await this.#door.apply(this.#active.proxy)
      const { instances } = this.#active
      for (const told of await this.#shims.retire(new Set(instances.map(each => each.id)))) this.say(told)
      await this.#openAndStart(instances)
      this.#resolveOpened()
    })
  }

  async #openAndStart(specs: InstanceSpec[]): Promise<void> {
    const outdated = await this.#supervisor.open(specs.map(spec => spec.id))
    const start = specs.filter(spec => spec.autostart && this.#supervisor.get(spec.id).state === 'STOPPED').map(spec => spec.id)
    if (this.#stopping) return
    void this.#supervisor.start(start, 'no')
    if (outdated.length > 0) {
      this.say(`restarting ${outdated.join(', ')}: the configuration changed while no daemon was there`)
      void this.#supervisor.restart(outdated, 'no').catch((error: Error) => this.say(error.message))
    }
  }

  /** Log files are opened anew, after somebody else has moved them; the shims see for themselves, within a second, when theirs were. */
  reopenLogs(): void {
    this.#options.log.reopen()
    this.#door.reopenLogs()
  }

  #sendTable(): void {
    const { routes } = this.#active
    this.#door.update(routes, this.#supervisor.statusOf(routedPrograms(routes)))
  }

  // ---- requests: instances

  config(): Config {
    return this.#active
  }

  status(): InstanceStatus[] {
    return this.#supervisor.status()
  }

  async start(ids: string[], wait: 'yes' | 'no'): Promise<Outcome[]> {
    await this.#opened
    return this.#supervisor.start(ids, wait)
  }

  async stop(ids: string[], wait: 'yes' | 'no'): Promise<Outcome[]> {
    await this.#opened
    if (wait === 'yes') return this.#supervisor.stop(ids)
    // Names are checked at once; how the stops end is told by `status` and the events.
    for (const id of ids) this.#supervisor.get(id)
    this.#supervisor.stop(ids).catch((error: Error) => this.say(`stop: ${error.message}`))
    return ids.map(id => ({ id, error: null }))
  }

  async restart(ids: string[], wait: 'yes' | 'no'): Promise<Restarted> {
    await this.#opened
    return this.#supervisor.restart(ids, wait)
  }

  async signal(id: string, signal: SignalName): Promise<void> {
    await this.#opened
    return this.#supervisor.get(id).signal(signal)
  }

  async clearLogs(id: string): Promise<void> {
    await this.#opened
    return this.#supervisor.get(id).clearLogs()
  }

  daemonLog(): LogSpec {
    return this.#active.guard.log
  }

  usage(): Promise<Usage[]> {
    return sampleUsage(
      this.status()
        .filter(status => status.pid !== 0)
        .map(({ id, pid }) => ({ id, pid })),
    )
  }

  // ---- requests: configuration

  reread(): Promise<ConfigChanges> {
    return this.#inTurn(async () => {
      this.#files = await this.#options.load()
      return planUpdate(this.#active, this.#files, []).groups
    })
  }

  update(only: string[]): Promise<UpdateReport> {
    return this.#inTurn(async () => {
      this.#files = await this.#options.load()
      return this.#apply(planUpdate(this.#active, this.#files, only))
    })
  }

  add(group: string): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#active.groups.some(({ name }) => name === group)) throw new AppError('ALREADY_ADDED', `${group} is already active`)
      if (!this.#files.groups.some(({ name }) => name === group))
        throw new AppError('BAD_NAME', `no such group in the configuration: ${group}`)
      await this.#apply(planUpdate(this.#active, this.#files, [group]))
    })
  }

  remove(group: string): Promise<void> {
    return this.#inTurn(async () => {
      const members = this.#active.instances.filter(spec => spec.group === group)
      if (members.length === 0) throw new AppError('BAD_NAME', `no such group: ${group}`)
      const live = members.filter(spec => ['STARTING', 'RUNNING', 'STOPPING', 'BACKOFF'].includes(this.#supervisor.get(spec.id).state))
      if (live.length > 0) throw new AppError('STILL_RUNNING', `still running: ${live.map(spec => spec.id).join(', ')}`)
      await this.#supervisor.remove(members.map(spec => spec.id))
      const others = <T extends { group: string }>(all: T[]): T[] => all.filter(each => each.group !== group)
      this.#active = {
        ...this.#active,
        instances: others(this.#active.instances),
        groups: this.#active.groups.filter(({ name }) => name !== group),
      }
      this.#tellConfig('removed', [group])
      this.#sendTable()
    })
  }

  async available(): Promise<Available[]> {
    return available(this.#files, this.#active)
  }

  async #apply(plan: Plan): Promise<UpdateReport> {
    const { removed, restarted, added, applied } = plan.instances
    const { target, groups } = plan
    // What can be refused comes first: then nothing has changed.
    await this.#door.apply(target.proxy)
    this.#options.log.move(target.guard.log)
    const wasUp = new Set(restarted.filter(spec => this.#supervisor.get(spec.id).wanted === 'up').map(spec => spec.id))
    this.#active = target
    await this.#supervisor.remove(removed.map(({ id }) => id))
    this.#supervisor.know(target.instances, target.groups)
    for (const spec of [...applied, ...restarted.filter(each => !wasUp.has(each.id))]) await this.#supervisor.apply(spec)
    await this.#supervisor.restart([...wasUp], 'no', new Map(restarted.map(spec => [spec.id, spec])))
    await this.#openAndStart(added)
    this.#sendTable()
    for (const change of ['removed', 'changed', 'added'] as const) this.#tellConfig(change, groups[change])
    return updateReport(plan, [...wasUp])
  }

  async reload(): Promise<void> {
    return this.#inTurn(async () => {
      this.#files = await this.#options.load()
      const next = planUpdate(this.#active, this.#files, []).target
      await this.#door.apply(next.proxy)
      this.#options.log.move(next.guard.log)
      this.say('reload: stopping everything, then starting with the configuration as it is now')
      await this.#supervisor.remove(this.status().map(status => status.id))
      this.#active = next
      this.#supervisor.know(next.instances, next.groups)
      await this.#openAndStart(next.instances)
    })
  }

  /** A failed change leaves the way free for the next one. */
  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(() => {
      if (this.#stopping) throw new AppError('SHUTTING_DOWN', 'the daemon is shutting down')
      return change()
    })
    this.#turn = done.catch(() => {
      // Told to whoever asked.
    })
    return done
  }

  // ---- the end

  /** The first call begins it; every further one is only noted. */
  shutdown(): void {
    if (this.#stopping) {
      this.say('already shutting down')
      return
    }
    this.#stopping = true
    this.say('shutting down: requests are finished, then everything stops in order')
    void this.#end()
  }

  async #end(): Promise<void> {
    await this.#turn
    await this.#door.close()
    await this.#supervisor.close()
    endUsage()
    this.say('everything has stopped')
    this.#resolveEnded()
  }

  // ---- events

  subscribe(listener: (event: GuardEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #emit(event: GuardEvent): void {
    const { level, text } = eventText(event)
    this.#options.log.write(level, text)
    for (const listener of this.#listeners) listener(event)
  }

  /** A line for the log and for those who follow events. */
  say(message: string): void {
    this.#tell('daemon', message)
  }

  #tell(kind: 'daemon' | 'proxy', message: string): void {
    this.#emit({ kind, atMs: this.#options.clock.wallMs(), message })
  }

  #tellConfig(change: 'added' | 'changed' | 'removed', names: string[]): void {
    for (const name of names) this.#emit({ kind: 'config', atMs: this.#options.clock.wallMs(), change, name })
  }
}
