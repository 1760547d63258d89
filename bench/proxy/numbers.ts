// Medians and same-round ratios.

/** NaN for none. */
export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length % 2 === 1) return sorted[middle] as number
  return ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
}

/** Median of ours/theirs, each pair from one round: the machine's mood of that round falls out.  null: no round has both. */
export function ratio(ours: (number | null)[], theirs: (number | null)[]): number | null {
  const pairs = ours.flatMap((our, round) => {
    const their = theirs[round] ?? null
    return our === null || their === null || their === 0 ? [] : [our / their]
  })
  return pairs.length === 0 ? null : median(pairs)
}

/** The order of a round: everyone comes first once before anyone does twice. */
export function rotated<T>(items: readonly T[], round: number): T[] {
  const by = items.length === 0 ? 0 : round % items.length
  return [...items.slice(by), ...items.slice(0, by)]
}
