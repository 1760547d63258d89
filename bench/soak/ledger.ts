// What became of every request of the soak: counts by kind, and each failure as in flight at a kill or unexplained.

/** A service was lost while it worked on the request: the only failure a kill explains. */
export class Lost extends Error {}

/** killedMs to goneMs: the service was dying, so that a request could still be sent to it. */
export interface Kill {
  killedMs: number
  goneMs: number
}

export interface Failure {
  kind: string
  message: string
  isLost: boolean
  startedMs: number
  endedMs: number
}

export interface KindCount {
  done: number
  failed: number
  /** Not begun, because too many of its kind were still running. */
  heldBack: number
}

export class Ledger {
  readonly counts: Record<string, KindCount> = {}
  readonly failures: Failure[] = []
  readonly kills: Kill[] = []
  running = 0

  count(kind: string): KindCount {
    this.counts[kind] ??= { done: 0, failed: 0, heldBack: 0 }
    return this.counts[kind]
  }

  /** Follows one request to its end; never rejects. */
  async follow(kind: string, request: Promise<void>): Promise<void> {
    const startedMs = performance.now()
    this.running++
    try {
      await request
      this.count(kind).done++
    } catch (error) {
      this.count(kind).failed++
      const { message } = error as Error
      this.failures.push({ kind, message, isLost: error instanceof Lost, startedMs, endedMs: performance.now() })
    } finally {
      this.running--
    }
  }
}

/** It had begun when a service was killed, it was not over before, and what it says is that loss. */
export function isExplained(failure: Failure, kills: Kill[]): boolean {
  return failure.isLost && kills.some(({ killedMs, goneMs }) => failure.startedMs <= goneMs && failure.endedMs >= killedMs)
}

/** How often each failure came; numbers in its text do not make it another one. */
export function byCause(failures: Failure[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const { kind, message } of failures) {
    const cause = `${kind}: ${message.replaceAll(/\d{4,}/g, 'N')}`
    counts[cause] = (counts[cause] ?? 0) + 1
  }
  return counts
}
