// Asks one running instance again and again whether it can take traffic.
import { observe, probeDelayMs, type Readiness, UNREADY } from '../core/readiness.js'
import type { InstanceSpec, ProbeSpec } from '../core/spec.js'
import type { World } from './world.js'

export class Prober {
  readonly #world: World
  readonly #changed: () => void
  #readiness: Readiness = UNREADY
  #reason = ''
  #attempts = 0
  #cancel: () => void = () => {}
  /** A result of an earlier round (before a stop or a new start) is not believed: that round is given up. */
  #round = new AbortController()

  /** changed: called when `ready` changes while probing. */
  constructor(world: World, changed: () => void) {
    this.#world = world
    this.#changed = changed
  }

  get ready(): boolean {
    return this.#readiness.ready
  }

  /** Why the last probe failed; '' when it passed. */
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
    this.#cancel()
    this.#cancel = () => {}
    this.#readiness = UNREADY
    this.#reason = ''
    this.#attempts = 0
  }

  async #probe(spec: InstanceSpec, probe: ProbeSpec, round: AbortSignal): Promise<void> {
    const result = await this.#world.probe(probe, spec, round)
    if (round.aborted) return
    const before = this.#readiness.ready
    this.#readiness = observe(this.#readiness, result === 'pass' ? 'pass' : 'fail', probe.failures)
    this.#attempts = this.#readiness.ready ? 0 : this.#attempts + 1
    this.#reason = result === 'pass' ? '' : result.fail
    if (before !== this.#readiness.ready) this.#changed()
    if (round.aborted) return
    const { clock } = this.#world
    const delayMs = probeDelayMs(this.#readiness, this.#attempts, probe.intervalMs)
    this.#cancel = clock.at(clock.nowMs() + delayMs, () => void this.#probe(spec, probe, round))
  }
}
