// All instances together: who exists, who starts after whom, who stops before whom.
import { AppError } from '../core/error.js'
import { startTiers, stopBlockers } from '../core/order.js'
import type { Outcome, Restarted } from '../core/outcome.js'
import type { GroupSpec, InstanceSpec } from '../core/spec.js'
import type { InstanceStatus } from '../core/status.js'
import { Supervised } from './supervised.js'
import type { World } from './world.js'

export class Supervisor {
  readonly #world: World
  readonly #changed: () => void
  readonly #all = new Map<string, Supervised>()
  #groups: GroupSpec[] = []
  /** Whoever waits for a change looks again after each one. */
  readonly #watchers = new Set<() => void>()
  #closing = false

  /** changed: called after every change of a state or of readiness, for the route table. */
  constructor(world: World, changed: () => void) {
    this.#world = world
    this.#changed = changed
  }

  // ---- who exists

  /** Makes these instances the known ones, in this order, which is that of their starts; those that are new are STOPPED until they are opened.
   *  groups: all groups there are now. */
  know(specs: InstanceSpec[], groups: GroupSpec[]): void {
    this.#groups = groups
    const before = new Map(this.#all)
    this.#all.clear()
    for (const spec of specs) this.#all.set(spec.id, before.get(spec.id) ?? this.#newInstance(spec))
  }

  #newInstance(spec: InstanceSpec): Supervised {
    const one = new Supervised(spec, this.#world, () => this.#noticed())
    // Requests for it are held until it is known whether it runs.
    one.waitsFor = 'waits for its shim'
    return one
  }

  /** Gives known instances their shims and adopts what still runs of them; starts nothing.
   *  Returns the ids whose running program is not what the specification says any more. */
  async open(ids: string[]): Promise<string[]> {
    const added = ids.map(id => this.get(id))
    const specs = added.map(one => one.spec)
    const links = await this.#world.shims.open(specs, id => this.get(id).handlers())
    const outdated: string[] = []
    for (const one of added) {
      const link = links.get(one.spec.id)
      // Without a shim now, the next start tries again and says why it failed.
      if (link === undefined || link instanceof Error) continue
      one.attach(link)
      if (link.found.outdated) outdated.push(one.spec.id)
    }
    for (const one of added) one.waitsFor = ''
    return outdated
  }

  /** Stops instances and forgets them. */
  async remove(ids: string[]): Promise<void> {
    for (const id of ids) this.get(id).removed = true
    await this.stop(ids)
    await Promise.all(ids.map(id => this.get(id).close()))
    for (const id of ids) this.#all.delete(id)
    this.#noticed()
  }

  async apply(spec: InstanceSpec): Promise<void> {
    await this.get(spec.id).apply(spec)
    this.#noticed()
  }

  status(): InstanceStatus[] {
    return [...this.#all.values()].map(one => one.status())
  }

  /** Of these programs only: what the route table needs, again and again. */
  statusOf(programs: ReadonlySet<string>): InstanceStatus[] {
    return [...this.#all.values()].filter(one => programs.has(one.spec.program)).map(one => one.status())
  }

  /** Throws AppError BAD_NAME. */
  get(id: string): Supervised {
    const one = this.#all.get(id)
    if (one === undefined) throw new AppError('BAD_NAME', `no such process: ${id}`)
    return one
  }

  // ---- start

  /** Starts instances, in order and together with the dependencies that are down.  wait 'yes': an outcome is known when its instance has
   *  been alive for startsecs, or has failed; 'no': when it has been asked to start.  Throws AppError BAD_NAME before anything is started. */
  async start(ids: string[], wait: 'yes' | 'no'): Promise<Outcome[]> {
    const asked = ids.map(id => this.get(id))
    if (this.#closing) throw new AppError('SHUTTING_DOWN', 'the daemon is shutting down')
    const already = new Set(asked.filter(one => one.state === 'RUNNING' || one.state === 'STARTING').map(one => one.spec.id))
    const starting = this.#withDependencies(asked).filter(one => !already.has(one.spec.id))
    for (const one of starting) one.waitsFor = 'waits for its turn'
    const begun = this.#startInTiers(starting)
    const outcome = async (one: Supervised): Promise<Outcome> => {
      const { id } = one.spec
      if (already.has(id)) return { id, error: new AppError('ALREADY_STARTED', `${id} is already started`) }
      return { id, error: wait === 'no' ? null : await this.#startError(one) }
    }
    const outcomes = await Promise.all(asked.map(outcome))
    if (wait === 'yes') await begun
    return outcomes
  }

  #withDependencies(asked: Supervised[]): Supervised[] {
    const found = new Set<Supervised>()
    const visit = (one: Supervised): void => {
      if (found.has(one)) return
      found.add(one)
      for (const { program } of one.spec.dependsOn) {
        for (const below of this.#ofProgram(program)) if (!below.hasStarted && below.wanted === 'down') visit(below)
      }
    }
    asked.forEach(visit)
    return [...found]
  }

  async #startInTiers(starting: Supervised[]): Promise<void> {
    const specs = starting.map(one => one.spec)
    for (const tier of startTiers(specs, this.#groups)) {
      const begun = tier.map(spec => this.#all.get(spec.id)).filter(one => one !== undefined)
      for (const one of begun) this.#startWhenMet(one)
      await this.#until(() => begun.every(one => one.waitsFor !== '' || !one.spawning))
    }
  }

  /** Starts it now, or as soon as its dependencies are met; a stop request or the removal in between calls it off. */
  #startWhenMet(one: Supervised): void {
    if (one.waitsFor === '') return
    const look = (): boolean => {
      if (one.waitsFor === '') return true
      const unmet = this.#unmet(one)
      one.waitsFor = unmet
      if (unmet !== '') return false
      one.input({ kind: 'start' })
      return true
    }
    if (!look()) void this.#until(look)
  }

  /** In words what it waits for; '' when every dependency is met. */
  #unmet(one: Supervised): string {
    for (const { program, condition } of one.spec.dependsOn) {
      for (const below of this.#ofProgram(program)) {
        const met = condition === 'ready' ? below.ready : below.hasStarted
        if (!met) return `waits for ${below.spec.id} to be ${condition} (${below.state})`
      }
    }
    return ''
  }

  async #startError(one: Supervised): Promise<AppError | null> {
    const { id } = one.spec
    await this.#until(() => this.#settled(one))
    if (one.waitsFor !== '') return new AppError('ABNORMAL_TERMINATION', `${id} ${one.waitsFor}`)
    if (one.state === 'RUNNING' || one.state === 'EXITED') return null
    const reason = one.reason || `ended as ${one.state}`
    return new AppError(one.lastFailure === 'spawn' ? 'SPAWN_ERROR' : 'ABNORMAL_TERMINATION', `${id}: ${reason}`)
  }

  #settled(one: Supervised): boolean {
    if (one.waitsFor !== '') return this.#hopeless(one)
    return one.state !== 'STARTING' && !(one.state === 'STOPPING' && one.wanted === 'up')
  }

  /** It waits for something that has failed: the person who asked shall not wait with it. */
  #hopeless(one: Supervised): boolean {
    return one.spec.dependsOn.some(({ program }) =>
      this.#ofProgram(program).some(
        below => below.state === 'FATAL' || below.state === 'BACKOFF' || (below.wanted === 'down' && !below.hasStarted),
      ),
    )
  }

  #ofProgram(program: string): Supervised[] {
    return [...this.#all.values()].filter(one => one.spec.program === program)
  }

  // ---- stop

  /** Stops instances, in the reverse order of their starts, in parallel where the order allows; an outcome is known when the whole tree is
   *  gone.  Throws AppError BAD_NAME before anything is stopped. */
  async stop(ids: string[]): Promise<Outcome[]> {
    const asked = ids.map(id => this.get(id))
    const blockers = stopBlockers(
      asked.map(one => one.spec),
      this.#groups,
    )
    const wasUp = new Set(asked.filter(one => !isDown(one) || one.state === 'BACKOFF' || one.waitsFor !== ''))
    // What is not up yet must not start while others are being stopped.
    for (const one of asked) one.waitsFor = ''
    this.#noticed()
    // An order is kept among the stops of one request: an instance that somebody starts again meanwhile holds up nobody.
    const ends = new Map<string, Promise<void>>()
    const end = (id: string): Promise<void> => {
      const begun = ends.get(id) ?? this.#stopAfter(this.get(id), (blockers.get(id) as string[]).map(end))
      ends.set(id, begun)
      return begun
    }
    await Promise.all(ids.map(end))
    return asked.map(one => {
      const { id } = one.spec
      return { id, error: wasUp.has(one) ? null : new AppError('NOT_RUNNING', `${id} is not running`) }
    })
  }

  async #stopAfter(one: Supervised, above: Promise<void>[]): Promise<void> {
    await Promise.all(above)
    await this.#release(one)
    one.input({ kind: 'stop' })
    await this.#until(() => isDown(one) || one.startsAgain)
  }

  /** Requests go elsewhere, or wait, before the stop signal is sent: a program that closes its idle connections must not meet a new request. */
  async #release(one: Supervised): Promise<void> {
    if (!one.ready || one.spec.address === null) return
    one.leaving = true
    this.#noticed()
    await this.#world.released()
    one.leaving = false
  }

  /** Stops instances and starts them again; all the while they count as wanted, so requests wait for them.
   *  as: specifications to be taken over as soon as the old run is over, by id.  Throws AppError BAD_NAME before anything is stopped. */
  async restart(ids: string[], wait: 'yes' | 'no', as = new Map<string, InstanceSpec>()): Promise<Restarted> {
    const asked = ids.map(id => this.get(id))
    for (const one of asked) one.restarting = true
    for (const [id, spec] of as) this.get(id).applyNext(spec)
    try {
      const stopped = await this.stop(ids)
      const started = this.start(ids, wait)
      for (const one of asked) one.restarting = false
      return { stopped, started: await started }
    } finally {
      for (const one of asked) one.restarting = false
    }
  }

  /** Stops everything, ends the shims.  Nothing can be started any more. */
  async close(): Promise<void> {
    this.#closing = true
    await this.stop([...this.#all.keys()])
    await Promise.all([...this.#all.values()].map(one => one.close()))
  }

  // ---- waiting

  #noticed(): void {
    this.#changed()
    for (const look of [...this.#watchers]) look()
  }

  /** Resolves as soon as the condition holds; looked at now and after every change. */
  #until(condition: () => boolean): Promise<void> {
    if (condition()) return Promise.resolve()
    return new Promise(resolve => {
      const look = (): void => {
        if (!condition()) return
        this.#watchers.delete(look)
        resolve()
      }
      this.#watchers.add(look)
    })
  }
}

function isDown(one: Supervised): boolean {
  return !['STARTING', 'RUNNING', 'STOPPING'].includes(one.state)
}
