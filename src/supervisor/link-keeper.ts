// The one link an instance has to its shim: kept, opened again when it is needed and lost, never fought over.
import { AppError } from '../core/error.js'
import type { InstanceSpec } from '../core/spec.js'
import type { ShimHandlers, ShimHost, ShimLink } from './world.js'

export class LinkKeeper {
  readonly #shims: ShimHost
  /** null: there is none now. */
  current: ShimLink | null = null
  #opening: Promise<ShimLink> | null = null
  #taken = false

  constructor(shims: ShimHost) {
    this.#shims = shims
  }

  take(link: ShimLink): void {
    this.current = link
    this.#taken = false
  }

  /** taken: another daemon has this shim now.  It is not asked back, so that two daemons do not fight over one program. */
  lose(how: 'closed' | 'taken'): void {
    this.current = null
    this.#taken = how === 'taken'
  }

  /** The link there is, or a new one; one attempt at a time, since a second connection would take the place of the first.
   *  Throws AppError SHIM_FAILED. */
  need(spec: InstanceSpec, handlers: ShimHandlers): Promise<ShimLink> {
    if (this.current !== null) return Promise.resolve(this.current)
    this.#opening ??= this.#open(spec, handlers).finally(() => {
      this.#opening = null
    })
    return this.#opening
  }

  async #open(spec: InstanceSpec, handlers: ShimHandlers): Promise<ShimLink> {
    if (this.#taken) throw new AppError('SHIM_FAILED', `another daemon has taken ${spec.id} over`)
    const opened = (await this.#shims.open([spec], () => handlers)).get(spec.id)
    if (opened === undefined || opened instanceof Error) {
      throw new AppError('SHIM_FAILED', `no shim for ${spec.id}: ${opened?.message ?? 'none was started'}`, { cause: opened })
    }
    this.current = opened
    opened.begin()
    return opened
  }

  /** Ends the shim and what it runs.  Throws what ShimLink.bye throws. */
  async end(): Promise<void> {
    const link = this.current
    this.current = null
    await link?.bye()
  }
}
