// May a failed attempt be made again?  One rule for all protocols.

export interface RetryFacts {
  /** `unsent` nothing has left, `refused` the upstream says it did not begin, `idempotent` a kept connection was closed under it,
   *  `no` it may have been worked on. */
  again: 'unsent' | 'refused' | 'idempotent' | 'no'
  method: string
  /** All of the body that has been read can be sent once more. */
  replayable: boolean
  /** Times this request has been repeated after something had left. */
  repeats: number
}

/** What never left goes out again freely, until the request's time is over; what was refused or lost with a kept connection once.
 *  Source: rule 18 (gRPC A6, transparent retries), RFC 9110 9.2.2. */
export function mayRepeat(facts: RetryFacts): boolean {
  if (!facts.replayable) return false
  switch (facts.again) {
    case 'unsent':
      return true
    case 'refused':
      return facts.repeats === 0
    case 'idempotent':
      return facts.repeats === 0 && isIdempotent(facts.method)
    case 'no':
      return false
  }
}

/** May it be asked twice with the effect of once?  RFC 9110 9.2.2. */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method)
}

const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])
