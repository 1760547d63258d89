// How often a client may ask: a token bucket per client, kept as one number (GCRA), for a bounded number of clients.
import { parseAddress } from './address.js'
import type { RateLimitSpec } from './spec.js'

/** Clients one limiter remembers; beyond it the one that asked longest ago is forgotten. */
export const CLIENTS_MAX = 20_000

/** One bucket: the time at which it is full again.  Full buckets need no memory.
 *  Returns the new time and 0, or the old one and the wait until a token is there, in ms. */
export function takeToken(fullAtMs: number, limit: RateLimitSpec, nowMs: number): { fullAtMs: number; waitMs: number } {
  const perTokenMs = limit.perMs / limit.requests
  const next = Math.max(fullAtMs, nowMs) + perTokenMs
  const waitMs = next - nowMs - limit.burst * perTokenMs
  // The small addend forgives the rounding of the division; it is far below one token.
  return waitMs > 1e-6 ? { fullAtMs, waitMs } : { fullAtMs: next, waitMs: 0 }
}

/** The buckets of one route. */
export class RateLimiter {
  readonly limit: RateLimitSpec
  private readonly clientsMax: number
  /** In the order of the last admitted request. */
  private readonly fullAtMs = new Map<string, number>()

  constructor(limit: RateLimitSpec, clientsMax = CLIENTS_MAX) {
    this.limit = limit
    this.clientsMax = clientsMax
  }

  /** Takes a token of the client's.  Returns 0, or how many ms it has to wait for one.  key: see clientKey. */
  take(key: string, nowMs: number): number {
    const { fullAtMs, waitMs } = takeToken(this.fullAtMs.get(key) ?? 0, this.limit, nowMs)
    if (waitMs > 0) return waitMs
    this.fullAtMs.delete(key)
    this.fullAtMs.set(key, fullAtMs)
    if (this.fullAtMs.size > this.clientsMax) this.fullAtMs.delete(this.fullAtMs.keys().next().value!)
    return 0
  }

  get clients(): number {
    return this.fullAtMs.size
  }
}

/** One client: an IPv4 address, or the /64 of an IPv6 address, because whoever has one of these has all of them. */
export function clientKey(client: string): string {
  if (!client.includes(':')) return client
  const address = parseAddress(client)
  if (address === null) return client
  const { a, b, c, d } = address
  if (a === 0 && b === 0 && c === 0xffff) return `${d >>> 24}.${(d >>> 16) & 255}.${(d >>> 8) & 255}.${d & 255}`
  return `${a.toString(16)}:${b.toString(16)}::/64`
}
