// Passive health: an endpoint whose requests fail is left out for a while, and let in again by one trial.
//
//   trusted ──5 in a row, or half of >= 20 in 10 s──► ejected ──time over──► on trial ──success──► trusted
//                                                        ▲                      │
//                                                        └──failure, twice as long┘

export interface OutlierSettings {
  /** Failures in a row that eject. */
  failuresInRow: number
  /** Share of failures that ejects, once the window has windowRequests. */
  failureShare: number
  windowRequests: number
  windowMs: number
  /** The first ejection; each one that follows is twice as long. */
  ejectMs: number
  ejectMaxMs: number
  /** This long without an ejection forgets the earlier ones. */
  forgetMs: number
}

export const OUTLIER_DEFAULTS: OutlierSettings = {
  failuresInRow: 5,
  failureShare: 0.5,
  windowRequests: 20,
  windowMs: 10_000,
  ejectMs: 500,
  ejectMaxMs: 30_000,
  forgetMs: 60_000,
}

/** What a request is to the health of its endpoint. */
export type Part = 'usual' | 'trial'

/** One endpoint as its answers show it.  A failure is the service's fault: no connection, connection lost, nonsense, timeout; not a status it chose. */
export class EndpointHealth {
  private readonly settings: OutlierSettings
  private inRow = 0
  private windowEndMs = 0
  private requests = 0
  private failures = 0
  /** 0: trusted. */
  private ejectedUntilMs = 0
  private ejections = 0
  private lastEndMs = 0
  /** 0: no trial runs. */
  private trialEndMs = 0

  constructor(settings: OutlierSettings = OUTLIER_DEFAULTS) {
    this.settings = settings
  }

  /** May it take a request now?  After an ejection: one, the trial. */
  available(nowMs: number): boolean {
    if (this.ejectedUntilMs === 0) return true
    return nowMs >= this.ejectedUntilMs && nowMs >= this.trialEndMs
  }

  /** It got a request.  Returns what this one is: after an ejection the trial.  A trial that is never answered makes room for another after ejectMaxMs. */
  begun(nowMs: number): Part {
    if (this.ejectedUntilMs === 0 || nowMs < this.ejectedUntilMs || nowMs < this.trialEndMs) return 'usual'
    this.trialEndMs = nowMs + this.settings.ejectMaxMs
    return 'trial'
  }

  /** It ended without a verdict: the client left, or another endpoint was taken.  After a trial: room for another. */
  abandoned(part: Part): void {
    if (part === 'trial') this.trialEndMs = 0
  }

  succeeded(nowMs: number, part: Part): void {
    this.inRow = 0
    if (this.ejectedUntilMs === 0) {
      this.count(nowMs)
      return
    }
    // An answer to what was asked before the ejection proves nothing.
    if (part === 'trial') this.trust()
  }

  failed(nowMs: number, part: Part): void {
    this.inRow++
    if (this.ejectedUntilMs !== 0) {
      if (part === 'trial') this.eject(nowMs)
      return
    }
    this.count(nowMs)
    this.failures++
    const { failuresInRow, failureShare, windowRequests } = this.settings
    const isMostlyFailing = this.requests >= windowRequests && this.failures >= this.requests * failureShare
    if (this.inRow >= failuresInRow || isMostlyFailing) this.eject(nowMs)
  }

  /** The daemon has started it anew: what was before does not count. */
  trust(): void {
    this.ejectedUntilMs = 0
    this.trialEndMs = 0
    this.inRow = 0
    this.requests = 0
    this.failures = 0
  }

  private count(nowMs: number): void {
    if (nowMs >= this.windowEndMs) {
      this.windowEndMs = nowMs + this.settings.windowMs
      this.requests = 0
      this.failures = 0
    }
    this.requests++
  }

  private eject(nowMs: number): void {
    const { ejectMs, ejectMaxMs, forgetMs } = this.settings
    if (this.ejectedUntilMs === 0 && nowMs - this.lastEndMs > forgetMs) this.ejections = 0
    this.ejectedUntilMs = nowMs + Math.min(ejectMs * 2 ** this.ejections, ejectMaxMs)
    this.lastEndMs = this.ejectedUntilMs
    this.ejections++
    this.trialEndMs = 0
    this.inRow = 0
    this.requests = 0
    this.failures = 0
  }
}

/** The endpoints that may take a request; all of them where none may: a wrong suspicion must not take a service down.
 *  Returns the list itself where nobody is left out, so that the usual case allocates nothing. */
export function withoutEjected<E extends { health: EndpointHealth }>(endpoints: readonly E[], nowMs: number): readonly E[] {
  let isWhole = true
  for (const { health } of endpoints) if (!health.available(nowMs)) isWhole = false
  if (isWhole) return endpoints
  const available = endpoints.filter(({ health }) => health.available(nowMs))
  return available.length === 0 ? endpoints : available
}
