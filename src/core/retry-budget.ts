// How many second attempts an upstream may get: a share of its recent requests, so that retries cannot multiply an outage.

export interface RetryBudgetSettings {
  /** Retries per request, over the last SLOTS seconds. */
  share: number
  /** And so many per second in any case: a quiet service may retry too. */
  perSecond: number
}

export const RETRY_BUDGET_DEFAULTS: RetryBudgetSettings = { share: 0.2, perSecond: 10 }

const SLOTS = 10
const SLOT_MS = 1000

/** One per upstream.  Attempts that repeat what never left the proxy are no retries and need no budget. */
export class RetryBudget {
  private readonly settings: RetryBudgetSettings
  private readonly requests = new Float64Array(SLOTS)
  private readonly retries = new Float64Array(SLOTS)
  /** Seconds since the clock's start of the newest slot. */
  private second = 0

  constructor(settings: RetryBudgetSettings = RETRY_BUDGET_DEFAULTS) {
    this.settings = settings
  }

  /** A request began. */
  began(nowMs: number): void {
    this.advance(nowMs)
    this.requests[this.second % SLOTS]!++
  }

  /** Takes one retry out of the budget.  false: there is none; the failure goes to the client. */
  take(nowMs: number): boolean {
    this.advance(nowMs)
    const slot = this.second % SLOTS
    const isWithinMinimum = this.retries[slot]! < this.settings.perSecond
    if (!isWithinMinimum && sum(this.retries) >= this.settings.share * sum(this.requests)) return false
    this.retries[slot]!++
    return true
  }

  private advance(nowMs: number): void {
    const second = Math.floor(nowMs / SLOT_MS)
    if (second <= this.second) return
    const passed = Math.min(SLOTS, second - this.second)
    for (let step = 1; step <= passed; step++) {
      const slot = (second - passed + step) % SLOTS
      this.requests[slot] = 0
      this.retries[slot] = 0
    }
    this.second = second
  }
}

function sum(slots: Float64Array): number {
  let total = 0
  for (const count of slots) total += count
  return total
}
