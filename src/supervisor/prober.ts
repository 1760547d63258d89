// Asks one running instance again and again whether it can take traffic, and listens to what it says of itself in between.
import { observe, type ProbeResult, probeDelayMs, type Readiness, type ServingStatus, UNREADY, unreadyReason } from '../core/readiness.js'
import type { InstanceSpec, ProbeSpec } from '../core/spec.js'
import type { World } from './world.js'

/** An instance that changes its mind more often than this is heard later, with its newest word: each change is an event and a route table. */
const CHANGE_GAP_MS = 50

export class Prober {
  readonly #world: World
  readonly #changed: () => void
  #readiness: Readiness = UNREADY
  #reason = ''
  #attempts = 0
  #cancelProbe: () => void = () => {}
  /** A result of an earlier round (before a stop or a new start) is not believed: that round is given up. */
  #round = new AbortController()
  #watch: 'closed' | 'open' | 'unsupported' = 'closed'
  /** Statuses told so far. */
  #tellings = 0
  /** Told, and not yet believed. */
  #newest: ServingStatus | null = null
  #cancelTelling: () => void = () => {}
  #toldChangeMs = Number.NEGATIVE_INFINITY

  /** changed: called when `ready` changes while probing. */
  constructor(world: World, changed: () => void) {
    this.#world = world
    this.#changed = changed
  }

  get ready(): boolean {
    return this.#readiness.ready
  }

  /** Why the instance is not ready, or failed its last look; '' when that was good. */
  get reason(): string {
    return this.#reason
  }

  /** Begins anew; does nothing for an instance without a probe.  readiness: what is believed until the first result. */
  start(spec: InstanceSpec, readiness = UNREADY): void {
    this.stop()
    this.#readiness = readiness
    if (spec.probe !== null) void this.#probe(spec, spec.probe, this.#round.signal)
  }

  stop(): void {
    this.#round.abort()
    this.#round = new AbortController()
    this.#cancelProbe()
    this.#cancelTelling()
    this.#cancelProbe = this.#cancelTelling = () => {}
    this.#readiness = UNREADY
    this.#reason = ''
    this.#attempts = 0
    this.#watch = 'closed'
    this.#newest = null
  }

  async #probe(spec: InstanceSpec, probe: ProbeSpec, round: AbortSignal): Promise<void> {
    const tellings = this.#tellings
    const result = await this.#world.probe(probe, spec, round)
    if (round.aborted) return
    // A status told while the look was under way is newer than the one it brings.
    if (tellings === this.#tellings || typeof result === 'object') this.#believe(result, probe)
    if (round.aborted) return
    this.#attempts = this.#readiness.ready ? 0 : this.#attempts + 1
    // A service that names its status has grpc.health.v1.  A lost Watch is opened again here too: with the probe's own pace, and no timer more.
    if (typeof result === 'string' && result !== 'pass' && this.#watch === 'closed') void this.#listen(spec, probe, round)
    const { clock } = this.#world
    const delayMs = probeDelayMs(this.#readiness, this.#attempts, probe.intervalMs)
    this.#cancelProbe = clock.at(clock.nowMs() + delayMs, () => void this.#probe(spec, probe, round))
  }

  /** The looks go on beside it: a service that hangs says nothing. */
  async #listen(spec: InstanceSpec, probe: ProbeSpec, round: AbortSignal): Promise<void> {
    this.#watch = 'open'
    const end = await this.#world.watch(probe, spec, status => this.#told(status, probe), round)
    if (!round.aborted) this.#watch = end === 'lost' ? 'closed' : 'unsupported'
  }

  #told(status: ServingStatus, probe: ProbeSpec): void {
    this.#tellings++
    const isWaiting = this.#newest !== null
    this.#newest = status
    if (isWaiting) return
    const { clock } = this.#world
    const believe = (): void => {
      const newest = this.#newest as ServingStatus
      this.#newest = null
      const before = this.#readiness.ready
      this.#believe(newest, probe)
      if (before !== this.#readiness.ready) this.#toldChangeMs = clock.nowMs()
    }
    const dueMs = this.#toldChangeMs + CHANGE_GAP_MS
    if (clock.nowMs() >= dueMs) believe()
    else this.#cancelTelling = clock.at(dueMs, believe)
  }

  #believe(result: ProbeResult, probe: ProbeSpec): void {
    const before = this.#readiness.ready
    this.#readiness = observe(this.#readiness, result, probe.failures)
    this.#reason = unreadyReason(result)
    if (before !== this.#readiness.ready) this.#changed()
  }
}
