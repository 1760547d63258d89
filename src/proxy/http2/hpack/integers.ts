// The integers of HPACK that do not fit their prefix (RFC 7541 5.1).

/** Continuation bytes that are looked at; 5 carry 2^35, far beyond any length, index or table size. */
const MOST_BYTES = 5
const MOST_VALUE = 0x7fffffff

/** Reads what follows a prefix of ones. */
export class IntegerReader {
  /** Where the last integer ended. */
  end = 0

  /** block[at, to): what follows the prefix byte.  prefixMax: the full prefix's value.  Sets `end`.  Returns the integer, 0..2^31-1; -1: cut off or too large. */
  rest(block: Uint8Array, at: number, to: number, prefixMax: number): number {
    let value = prefixMax
    let weight = 1
    const most = Math.min(to, at + MOST_BYTES)
    for (let place = at; place < most; place++) {
      const byte = block[place]!
      value += (byte & 0x7f) * weight
      if (byte >= 0x80) {
        weight *= 128
        continue
      }
      this.end = place + 1
      return value > MOST_VALUE ? -1 : value
    }
    return -1
  }
}

/** Writes `value` behind the bits of `pattern`.  Takes at most 6 bytes.  Returns where it ended. */
export function writeInteger(buffer: Uint8Array, at: number, pattern: number, prefixMax: number, value: number): number {
  if (value < prefixMax) {
    buffer[at] = pattern | value
    return at + 1
  }
  buffer[at++] = pattern | prefixMax
  let rest = value - prefixMax
  while (rest >= 0x80) {
    buffer[at++] = (rest & 0x7f) | 0x80
    rest >>>= 7
  }
  buffer[at++] = rest
  return at
}
