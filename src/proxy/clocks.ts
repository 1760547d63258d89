// The clocks of a request: how long it may take as a whole, and the silence that is too long.
import { Delay, type Expiring } from './delays.js'

// setTimeout's own limit, 24 days; a longer deadline is none.
const MAX_TIMER_MS = 2 ** 31 - 1

export interface ClockOwner {
  deadlinePassed(): void
  /** Nothing has moved for so long. */
  silent(limitMs: number): void
}

export class Clocks implements Expiring {
  readonly startedAt = performance.now()
  /** How long the client gives the whole call; null: it does not say. */
  readonly grpcTimeoutMs: number | null
  private readonly owner: ClockOwner
  private readonly silence = new Delay(this)
  private silenceMs = 0
  /** The route's limit is the same for all its requests: it costs a tenth of a timer. */
  private total: Delay | null = null
  /** A client's own limit. */
  private deadline: NodeJS.Timeout | null = null
  private limitMs = Number.POSITIVE_INFINITY

  constructor(owner: ClockOwner, grpcTimeoutMs: number | null) {
    this.owner = owner
    this.grpcTimeoutMs = grpcTimeoutMs
  }

  get passedMs(): number {
    return performance.now() - this.startedAt
  }

  /** What is left of the client's deadline, or of the route's limit where that is nearer; at least 0; null where the client gave none. */
  get deadlineLeftMs(): number | null {
    return this.grpcTimeoutMs === null ? null : Math.max(0, this.limitMs - this.passedMs)
  }

  /** totalTimeoutMs: the route's; 0: none. */
  startDeadline(totalTimeoutMs: number): void {
    this.limitMs = Math.min(this.grpcTimeoutMs ?? Number.POSITIVE_INFINITY, totalTimeoutMs || Number.POSITIVE_INFINITY)
    if (totalTimeoutMs > 0 && this.limitMs === totalTimeoutMs) {
      this.total = new Delay(this)
      this.total.start(totalTimeoutMs)
    } else if (this.limitMs < MAX_TIMER_MS) this.deadline = setTimeout(() => this.owner.deadlinePassed(), this.limitMs)
  }

  /** Was it the client's own deadline that has passed? */
  get isClientDeadline(): boolean {
    return this.limitMs === this.grpcTimeoutMs
  }

  /** limitMs 0: no limit. */
  watchSilence(limitMs: number): void {
    this.silenceMs = limitMs
    if (limitMs > 0) this.silence.start(limitMs)
    else this.silence.stop()
  }

  /** Something moved. */
  touch(): void {
    this.silence.touch()
  }

  stopSilence(): void {
    this.silence.stop()
  }

  stop(): void {
    this.silence.stop()
    this.total?.stop()
    if (this.deadline !== null) clearTimeout(this.deadline)
    this.deadline = null
  }

  expired(delay: Delay): void {
    if (delay === this.total) this.owner.deadlinePassed()
    else this.owner.silent(this.silenceMs)
  }
}
