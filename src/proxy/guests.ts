// The connections of a worker, counted through all of its doors, and those of each client among them; what is too much is refused.
//
// Refused is closed without a word, as nginx and HAProxy do it: the protocol is not known at accept, and an answer would have to be waited for.
// The client may try again; the operator reads of it in the daemon's log, at most once in SAY_EVERY_MS for each limit.

const SAY_EVERY_MS = 10_000

export interface GuestLimits {
  /** Connections at once. */
  max: number
  /** From one address; 0: no limit. */
  maxPerClient: number
  /** Refused ones are told here. */
  warn(message: string): void
}

/** What one worker may hold of a number that is meant for all of them together: the shares add up to it, but none is less than 1. */
export function shareOf(total: number, workers: number, slot: number): number {
  return Math.max(1, Math.floor(total / workers) + (slot < total % workers ? 1 : 0))
}

export class Guests {
  private readonly limits: GuestLimits
  private readonly perClient = new Map<string, number>()
  private readonly fullHouse = { saidMs: -SAY_EVERY_MS, unsaid: 0 }
  private readonly greedyClient = { saidMs: -SAY_EVERY_MS, unsaid: 0 }
  /** Connections that are here. */
  private count = 0

  constructor(limits: GuestLimits) {
    this.limits = limits
  }

  /** A connection has come.  address: of its client; null where that will be told later.  Returns null where there is no room. */
  admit(address: string | null): Guest | null {
    const { max } = this.limits
    if (this.count >= max) {
      this.refused(this.fullHouse, `there are ${max} already, this worker's share (proxy.max_connections)`)
      return null
    }
    const guest = new Guest(this)
    this.count++
    if (address === null || guest.named(address)) return guest
    guest.leave()
    return null
  }

  /** Counts one more of this client, where that is asked for.  Returns false where it has too many. */
  add(address: string): boolean {
    const { maxPerClient } = this.limits
    if (maxPerClient === 0) return true
    const count = this.perClient.get(address) ?? 0
    if (count >= maxPerClient) {
      this.refused(this.greedyClient, `${address} has ${maxPerClient} already (proxy.max_connections_per_client)`)
      return false
    }
    this.perClient.set(address, count + 1)
    return true
  }

  remove(address: string): void {
    if (this.limits.maxPerClient === 0) return
    const left = this.perClient.get(address)! - 1
    if (left === 0) this.perClient.delete(address)
    else this.perClient.set(address, left)
  }

  gone(): void {
    this.count--
  }

  private refused(report: { saidMs: number; unsaid: number }, why: string): void {
    const nowMs = performance.now()
    if (nowMs - report.saidMs < SAY_EVERY_MS) {
      report.unsaid++
      return
    }
    const more = report.unsaid === 0 ? '' : `; ${report.unsaid} more since this was last said`
    report.saidMs = nowMs
    report.unsaid = 0
    this.limits.warn(`a connection was refused: ${why}${more}`)
  }
}

/** One connection in the counts, from its acceptance to its end. */
export class Guest {
  private readonly guests: Guests
  /** Whom it is counted for. */
  private address: string | null = null
  private isHere = true

  constructor(guests: Guests) {
    this.guests = guests
  }

  /** Its client is known, or known better: counted for that address from now on.  Returns whether it may stay. */
  named(address: string): boolean {
    if (address === this.address) return true
    if (this.address !== null) this.guests.remove(this.address)
    this.address = this.guests.add(address) ? address : null
    return this.address !== null
  }

  leave(): void {
    if (!this.isHere) return
    this.isHere = false
    if (this.address !== null) this.guests.remove(this.address)
    this.guests.gone()
  }
}
