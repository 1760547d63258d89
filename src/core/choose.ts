// Which of the endpoints that may take a request gets it: in turn by weight, the less busy of two, or always the same for the same key.
//
// Every chooser is handed the endpoints that are ready, not ejected and not yet tried, in a stable order.
import type { AnswerTime } from './answer-time.js'
import { type Fields, fieldValue, fieldValues } from './headers.js'
import type { HashKey } from './spec.js'

export interface Weighted {
  id: string
  /** >= 1. */
  weight: number
}

/** Round robin by weight, spread out: 3:1 gives a a b a, not a a a b.  One per route; it follows endpoints that come and go. */
export class WeightedTurns {
  private readonly credit = new Map<string, number>()

  /** null where there is nobody. */
  choose<E extends Weighted>(endpoints: readonly E[]): E | null {
    let best: E | null = null
    let bestCredit = Number.NEGATIVE_INFINITY
    let total = 0
    for (const endpoint of endpoints) {
      const credit = (this.credit.get(endpoint.id) ?? 0) + endpoint.weight
      this.credit.set(endpoint.id, credit)
      total += endpoint.weight
      if (credit > bestCredit) {
        best = endpoint
        bestCredit = credit
      }
    }
    if (best !== null) this.credit.set(best.id, bestCredit - total)
    return best
  }

  /** Forgets endpoints that are gone for good.  ids: all of the upstream, ready or not. */
  keepOnly(ids: ReadonlySet<string>): void {
    for (const id of this.credit.keys()) if (!ids.has(id)) this.credit.delete(id)
  }
}

/** An endpoint whose answers are timed. */
export interface Timed extends Weighted {
  answerTime: AnswerTime
}

/** Two at random, and of them the one with fewer requests for its weight: nearly as even as looking at all, without every worker rushing to the
 *  same idle one.  A request at one that is clearly slower counts as so many more, and one in LOOK_AGAIN_MS finds out whether it still is.
 *  loadOf: requests under way.  random: [0, 1), split into both picks.  Source: power of two choices, weighed by time as in Finagle's peak EWMA. */
export function chooseLeastRequests<E extends Timed>(
  endpoints: readonly E[],
  loadOf: (endpoint: E) => number,
  chance: { random: number; nowMs: number },
): E | null {
  const count = endpoints.length
  if (count < 2) return endpoints[0] ?? null
  const spread = chance.random * count
  const first = Math.floor(spread)
  const other = Math.floor((spread - first) * (count - 1))
  const a = endpoints[first]!
  const b = endpoints[other < first ? other : other + 1]!
  const slownessOfA = a.answerTime.slownessBeside(b.answerTime)
  const slownessOfB = b.answerTime.slownessBeside(a.answerTime)
  if (slownessOfA > 1 && a.answerTime.looksAgain(chance.nowMs)) return a
  if (slownessOfB > 1 && b.answerTime.looksAgain(chance.nowMs)) return b
  // Cross-multiplied: (load + 1) * slowness / weight without dividing.
  return (loadOf(b) + 1) * slownessOfB * a.weight < (loadOf(a) + 1) * slownessOfA * b.weight ? b : a
}

/** The endpoint with the highest score for this key (weighted rendezvous): when one leaves, only its own keys move.  key: see hashKeyValue. */
export function chooseByHash<E extends Weighted>(endpoints: readonly E[], key: string): E | null {
  const seed = hashText(key)
  let best: E | null = null
  let bestScore = Number.NEGATIVE_INFINITY
  for (const endpoint of endpoints) {
    const unit = (mix(seed ^ mix(hashText(endpoint.id))) + 0.5) / 2 ** 32
    const score = endpoint.weight / -Math.log(unit)
    if (score > bestScore) {
      best = endpoint
      bestScore = score
    }
  }
  return best
}

/** What the key is for this request; null where it lacks it.  client: as core/client-address.ts tells it. */
export function hashKeyValue(key: HashKey, request: { fields: Fields; client: string }): string | null {
  switch (key.from) {
    case 'client_ip':
      return request.client
    case 'header':
      return fieldValue(request.fields, key.name) ?? null
    case 'cookie':
      return cookieValue(request.fields, key.name)
  }
}

/** The first cookie of the name, over all crumbs; as it stands, quotes included. */
export function cookieValue(fields: Fields, name: string): string | null {
  for (const crumb of fieldValues(fields, 'cookie')) {
    for (const pair of crumb.split(';')) {
      const equals = pair.indexOf('=')
      if (equals !== -1 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
    }
  }
  return null
}

/** FNV-1a over UTF-16 units, 32 bits. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return hash >>> 0
}

/** Spreads each bit over all (the finalizer of MurmurHash3): FNV leaves the last letters of ids too close together. */
function mix(value: number): number {
  let hash = value
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
