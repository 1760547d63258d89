// How often a client may ask: a token bucket per client, kept as one number (GCRA), for a bounded number of clients.
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

/** One client's bucket, in a ring in the order of the last admitted request. */
class Bucket {
  readonly key: string
  fullAtMs = 0
  before: Bucket = this
  after: Bucket = this

  constructor(key: string) {
    this.key = key
  }

  leave(): void {
    this.before.after = this.after
    this.after.before = this.before
  }

  enterBefore(next: Bucket): void {
    this.before = next.before
    this.after = next
    next.before.after = this
    next.before = this
  }
}

/** The buckets of one route.  60 ns per request; a Map that is kept in order by taking out and putting back was 300. */
export class RateLimiter {
  readonly limit: RateLimitSpec
  private readonly clientsMax: number
  private readonly buckets = new Map<string, Bucket>()
  /** Behind it stands who asked longest ago, before it who asked last. */
  private readonly ring = new Bucket('')

  constructor(limit: RateLimitSpec, clientsMax = CLIENTS_MAX) {
    this.limit = limit
    this.clientsMax = clientsMax
  }

  /** Takes a token of the client's.  Returns 0, or how many ms it has to wait for one.  key: see core/known-clients.ts. */
  take(key: string, nowMs: number): number {
    const { ring } = this
    let bucket = this.buckets.get(key)
    const { fullAtMs, waitMs } = takeToken(bucket === undefined ? 0 : bucket.fullAtMs, this.limit, nowMs)
    if (waitMs > 0) return waitMs
    if (bucket === undefined) {
      bucket = this.newBucket(key)
      bucket.enterBefore(ring)
    } else if (ring.before !== bucket) {
      bucket.leave()
      bucket.enterBefore(ring)
    }
    bucket.fullAtMs = fullAtMs
    return 0
  }

  private newBucket(key: string): Bucket {
    const bucket = new Bucket(key)
    this.buckets.set(key, bucket)
    if (this.buckets.size > this.clientsMax) {
      const oldest = this.ring.after
      oldest.leave()
      this.buckets.delete(oldest.key)
    }
    return bucket
  }

  get clients(): number {
    return this.buckets.size
  }
}
