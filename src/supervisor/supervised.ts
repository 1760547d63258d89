// One supervised instance: feeds the machine with what happens, does what it answers, remembers what people ask about.
import { AppError } from '../core/error.js'
import { type Input, type Instance, newInstance, step } from '../core/instance.js'
import { READY, UNREADY } from '../core/readiness.js'
import type { InstanceSpec, SignalName } from '../core/spec.js'
import { type ExitRecord, type InstanceStatus, LAST_LINES } from '../core/status.js'
import { LinkKeeper } from './link-keeper.js'
import { Prober } from './prober.js'
import type { ShimHandlers, ShimLink, World } from './world.js'

/** A full disk is told of at most this often for each stream; `status` has the newest count. */
const TELL_LOSS_MS = 60_000

export class Supervised {
  spec: InstanceSpec
  readonly #world: World
  /** Told after every change of state or readiness. */
  readonly #changed: () => void
  #instance: Instance = newInstance()
  readonly #link: LinkKeeper
  /** Becomes the specification when the present run is over. */
  #next: InstanceSpec | null = null
  /** A run request is on its way; an end that overtakes its answer waits here. */
  #running = false
  #overtaken: ExitRecord | null = null
  #cancelDeadline: () => void = () => {}
  readonly #prober: Prober
  #startedAtMs = 0
  #stoppedAtMs = 0
  #exit: ExitRecord | null = null
  #lastLines: string[] = []
  #lost = { stdout: 0, stderr: 0, error: '' }
  readonly #tellLossMs = { stdout: 0, stderr: 0 }
  /** What the last failure was: it could not be run at all, or it ended. */
  lastFailure: 'spawn' | 'end' = 'end'
  /** On its way through a restart: someone wants it up, and traffic waits for it. */
  restarting = false
  /** About to be stopped: it takes no new requests any more. */
  leaving = false
  /** On its way out for good: nothing starts it any more. */
  removed = false
  /** Set while the supervisor holds its start back; shown as the reason. */
  waitsFor = ''

  constructor(spec: InstanceSpec, world: World, changed: () => void) {
    this.spec = spec
    this.#world = world
    this.#changed = changed
    this.#link = new LinkKeeper(world.shims)
    this.#prober = new Prober(world, () => this.#readinessChanged())
  }

  get state(): Instance['state'] {
    return this.#instance.state
  }

  get wanted(): 'up' | 'down' {
    return this.waitsFor === '' && !this.restarting ? this.#instance.wanted : 'up'
  }

  /** It is being stopped, and somebody has asked for a start meanwhile. */
  get startsAgain(): boolean {
    return this.state === 'STOPPING' && this.#instance.wanted === 'up'
  }

  get reason(): string {
    return this.waitsFor || this.#instance.reason || (this.state === 'RUNNING' ? this.#prober.reason : '')
  }

  /** May take traffic: its probe says so; without a probe, RUNNING says so. */
  get ready(): boolean {
    if (this.leaving) return false
    if (this.spec.probe === null) return this.state === 'RUNNING'
    return (this.state === 'RUNNING' || this.state === 'STARTING') && this.#prober.ready
  }

  /** A run was asked for and the shim has not answered yet. */
  get spawning(): boolean {
    return this.#running
  }

  /** A dependency on it being started is met: it runs, or did its work and ended well. */
  get hasStarted(): boolean {
    return this.state === 'RUNNING' || (this.state === 'EXITED' && this.#exit?.code === 0)
  }

  // ---- the shim

  /** Takes a shim over, with whatever it runs. */
  attach(link: ShimLink): void {
    const { found } = link
    this.#link.take(link)
    this.#lost = { ...found.lost, error: found.lost.stdout + found.lost.stderr > 0 ? 'while no daemon was there' : '' }
    if (found.pid !== 0) {
      this.#startedAtMs = found.startedAtMs
      this.input({ kind: 'adopted', pid: found.pid, startedMs: found.startedMs })
      this.#prober.start(this.spec)
      void link.setLogs(this.spec.logs).catch(error => this.#complain('log files', error))
    } else if (found.exit !== null) {
      // It ended while nobody watched: the machine hears both, so that autorestart decides as it would have then.
      this.#startedAtMs = found.startedAtMs
      this.input({ kind: 'adopted', pid: found.exit.pid, startedMs: found.startedMs })
      this.#exited(found.exit)
    }
    if (this.#instance.pid !== 0 || found.exit !== null) this.waitsFor = ''
    link.begin()
  }

  handlers(): ShimHandlers {
    return {
      exited: exit => {
        if (this.#running) this.#overtaken = exit
        else this.#exited(exit)
      },
      logLost: (stream, bytes, error) => {
        this.#lost = { ...this.#lost, [stream]: bytes, error }
        const nowMs = this.#world.clock.nowMs()
        if (nowMs < this.#tellLossMs[stream]) return
        this.#tellLossMs[stream] = nowMs + TELL_LOSS_MS
        this.#emit({ kind: 'log_lost', id: this.spec.id, stream, bytes, error })
      },
      rotated: stream => this.#emit({ kind: 'rotated', id: this.spec.id, stream }),
      closed: () => this.#shimLost('closed'),
      taken: () => this.#shimLost('taken'),
    }
  }

  #exited(exit: ExitRecord): void {
    this.#link.current?.took()
    this.#ended(exit)
  }

  #ended(exit: ExitRecord): void {
    const expected = this.state === 'STOPPING' || (exit.code !== null && this.spec.policy.exitcodes.includes(exit.code))
    this.#exit = exit
    this.lastFailure = 'end'
    this.#stoppedAtMs = this.#world.clock.wallMs()
    this.#emit({ kind: 'exit', id: this.spec.id, expected, exit })
    this.input({ kind: 'exited', code: exit.code, signal: exit.signal })
  }

  #shimLost(how: 'closed' | 'taken'): void {
    this.#link.lose(how)
    const { pid } = this.#instance
    const what = how === 'taken' ? 'was taken over by another daemon' : 'was lost'
    this.#emit({ kind: 'daemon', message: `the shim of ${this.spec.id} ${what}${pid === 0 ? '' : ` with pid ${pid}`}` })
    if (pid === 0) return
    const endedAtMs = this.#world.clock.wallMs()
    this.#ended({ pid, code: null, signal: null, coreDumped: false, userMs: 0, systemMs: 0, maxRssKb: 0, endedAtMs })
  }

  // ---- the machine

  input(input: Input): void {
    if (input.kind === 'start' && this.removed) return
    const { clock } = this.#world
    const before = this.#instance
    const [after, effects] = step(before, input, this.spec.policy, clock.nowMs(), this.#world.random())
    this.#instance = after
    this.#cancelDeadline()
    this.#cancelDeadline = after.deadlineMs === null ? () => {} : clock.at(after.deadlineMs, () => this.input({ kind: 'deadline' }))
    if (after.state !== before.state && after.state !== 'RUNNING' && after.state !== 'STOPPING') this.#takeNext()
    // A start goes out before anything is told, since people wait for it; a stop after everybody knows, since requests must go elsewhere first.
    for (const effect of effects) if (effect.kind === 'run') void this.#run()
    if (after.state !== before.state) this.#stateChanged(before, after)
    else if (after.wanted !== before.wanted) this.#changed()
    for (const effect of effects) if (effect.kind === 'signal') this.#signal(effect.signal, effect.scope)
  }

  #stateChanged(before: Instance, after: Instance): void {
    if (after.state === 'BACKOFF' || after.state === 'FATAL') void this.#readLastLines()
    if (after.state !== 'STARTING' && after.state !== 'RUNNING') this.#prober.stop()
    this.#emit({ kind: 'state', id: this.spec.id, from: before.state, to: after.state, pid: after.pid, reason: after.reason })
    this.#changed()
  }

  async #run(): Promise<void> {
    this.#running = true
    const input = await this.#spawn().catch((error: Error): Input => {
      this.lastFailure = 'spawn'
      return { kind: 'failed', reason: error.message }
    })
    this.#running = false
    this.input(input)
    if (input.kind !== 'failed' && (this.state === 'STARTING' || this.state === 'RUNNING')) this.#prober.start(this.spec)
    const overtaken = this.#overtaken
    this.#overtaken = null
    if (overtaken !== null) this.#exited(overtaken)
    this.#changed()
  }

  async #spawn(): Promise<Input> {
    const hadOne = this.#link.current !== null
    const link = this.#link.current ?? (await this.#link.need(this.spec, this.handlers()))
    if (!hadOne) {
      const { pid, startedMs, startedAtMs } = link.found
      this.#startedAtMs = startedAtMs
      // The answer to an earlier run never came, and it runs.
      if (pid !== 0) return { kind: 'adopted', pid, startedMs }
    }
    if (this.state !== 'STARTING') throw new AppError('SPAWN_ERROR', 'stopped before it was started')
    const { pid } = await link.run(this.spec)
    this.#startedAtMs = this.#world.clock.wallMs()
    return { kind: 'started', pid }
  }

  #signal(signal: SignalName, scope: 'process' | 'group'): void {
    // It may have just ended, or its shim with it; the end is on its way as an input of its own.
    this.#link.current?.signal(signal, scope).catch(() => {})
  }

  #readinessChanged(): void {
    this.#emit({ kind: 'ready', id: this.spec.id, ready: this.ready, reason: this.#prober.reason })
    this.#changed()
  }

  // ---- requests of people

  /** Sends a signal to the program.  Throws AppError NOT_RUNNING. */
  async signal(signal: SignalName): Promise<void> {
    const link = this.#link.current
    if (link === null || this.#instance.pid === 0) throw new AppError('NOT_RUNNING', `${this.spec.id} is not running`)
    await link.signal(signal, 'process')
  }

  async clearLogs(): Promise<void> {
    const link = await this.#link.need(this.spec, this.handlers())
    await link.clearLogs()
  }

  /** Takes a specification over that needs no restart. */
  async apply(spec: InstanceSpec): Promise<void> {
    const probeChanged = JSON.stringify(spec.probe) !== JSON.stringify(this.spec.probe)
    const wasReady = this.ready
    this.spec = spec
    // What was ready stays so until the new probe says otherwise: nothing has happened to the program.
    if (probeChanged && this.#instance.pid !== 0) this.#prober.start(spec, wasReady ? READY : UNREADY)
    await this.#link.current?.setLogs(spec.logs).catch(error => this.#complain('log files', error))
  }

  /** Takes a specification over as soon as nothing runs by the old one. */
  applyNext(spec: InstanceSpec): void {
    this.#next = spec
    if (this.#instance.pid === 0 && !this.#running) this.#takeNext()
  }

  #takeNext(): void {
    this.spec = this.#next ?? this.spec
    this.#next = null
  }

  /** Ends the shim; only for an instance that is at rest, or when the daemon gives up on it. */
  async close(): Promise<void> {
    this.#cancelDeadline()
    this.#prober.stop()
    await this.#link.end().catch(error => this.#complain('the end of its shim', error))
  }

  status(): InstanceStatus {
    const { spec } = this
    const { pid, startedMs, restarts, state } = this.#instance
    const { stdout, stderr } = spec.logs
    return {
      id: spec.id,
      name: spec.name,
      group: spec.group,
      program: spec.program,
      state,
      pid,
      wanted: this.wanted,
      ready: this.ready,
      startedAtMs: this.#startedAtMs,
      stoppedAtMs: this.#stoppedAtMs,
      uptimeMs: pid === 0 ? 0 : this.#world.clock.nowMs() - startedMs,
      restarts,
      reason: this.reason,
      lastLines: state === 'FATAL' || state === 'BACKOFF' ? this.#lastLines : [],
      exit: this.#exit,
      logLost: { bytes: this.#lost.stdout + this.#lost.stderr, error: this.#lost.error },
      address: spec.address,
      logs: { stdout: stdout?.path ?? null, stderr: stderr === 'stdout' ? (stdout?.path ?? null) : (stderr?.path ?? null) },
    }
  }

  async #readLastLines(): Promise<void> {
    const { stderr, stdout } = this.status().logs
    const lines = stderr === null ? [] : await this.#world.lastLines(stderr, LAST_LINES)
    this.#lastLines = lines.length > 0 || stdout === null ? lines : await this.#world.lastLines(stdout, LAST_LINES)
  }

  #complain(what: string, error: Error): void {
    this.#emit({ kind: 'daemon', message: `${this.spec.id}: ${what}: ${error.message}` })
  }

  #emit(event: Omit<Parameters<World['emit']>[0], 'atMs'> | object): void {
    this.#world.emit({ atMs: this.#world.clock.wallMs(), ...event } as Parameters<World['emit']>[0])
  }
}
