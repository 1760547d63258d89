// The two clocks of a request: the client's deadline, and the silence that is too long.

// setTimeout's own limit, 24 days; a longer deadline is none.
const MAX_TIMER_MS = 2 ** 31 - 1

export class Clocks {
  readonly startedAt = performance.now()
  private readonly deadlineMs: number | null
  private deadline: NodeJS.Timeout | null = null
  private silence: NodeJS.Timeout | null = null

  /** deadlineMs: how long the client gives the whole call; null: it does not say. */
  constructor(deadlineMs: number | null) {
    this.deadlineMs = deadlineMs
  }

  get passedMs(): number {
    return performance.now() - this.startedAt
  }

  /** What is left of the client's deadline, at least 0; null where there is none. */
  get deadlineLeftMs(): number | null {
    return this.deadlineMs === null ? null : Math.max(0, this.deadlineMs - this.passedMs)
  }

  onDeadline(passed: () => void): void {
    if (this.deadlineMs !== null && this.deadlineMs < MAX_TIMER_MS) this.deadline = setTimeout(passed, this.deadlineMs)
  }

  watchSilence(limitMs: number, tooLong: () => void): void {
    this.stopSilence()
    this.silence = setTimeout(tooLong, limitMs)
  }

  /** Something moved. */
  touch(): void {
    this.silence?.refresh()
  }

  stopSilence(): void {
    if (this.silence !== null) clearTimeout(this.silence)
    this.silence = null
  }

  stop(): void {
    this.stopSilence()
    if (this.deadline !== null) clearTimeout(this.deadline)
    this.deadline = null
  }
}
